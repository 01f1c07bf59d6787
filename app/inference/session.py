"""One ONNX Runtime session. The only file that imports onnxruntime.

ONNX Runtime falls back to the CPU in silence where CUDA cannot be loaded, so the provider that is *active* is
read back, named, and compared with what the setting asks for.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.bundle import GOLDEN, BundleError
from models.golden import Golden, check_golden

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
ACCELERATORS = (TENSORRT, CUDA)
_WANTED = {"cpu": (CPU,), "cuda": (CUDA, CPU), "tensorrt": (TENSORRT, CUDA, CPU)}
_OPTIONS: dict[str, dict[str, str]] = {
    CUDA: {"cudnn_conv_algo_search": "HEURISTIC"},  # the default measures anew for each batch size
    TENSORRT: {},
    CPU: {},
}


class ProviderUnavailable(RuntimeError):
    """The setting asks for a provider that cannot be used here."""


@dataclass(frozen=True)
class Outputs:
    """What the graph says of N images: logits [N, C], embedding [N, D], features [N, D, h, w] if asked."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    features: NDArray[np.float32] | None


class OnnxSession:
    """A loaded and warmed graph. ``run`` may be called from several threads on a CPU, from one on a GPU.

    Raises ProviderUnavailable where ``provider`` (auto, cpu, cuda, tensorrt) is not what became active.
    """

    def __init__(self, onnx: bytes, *, size_px: int, provider: str = "auto") -> None:
        self._session = _open(onnx, provider)
        self.provider: str = self._session.get_providers()[0]
        self.run(np.zeros((1, size_px, size_px, 3), np.uint8), features=True, give_back=True)

    @property
    def is_accelerated(self) -> bool:
        """Whether this session runs on a GPU."""
        return self.provider in ACCELERATORS

    def check(self, golden: Golden | None) -> None:
        """Raises BundleError unless it answers the golden images as it did where it was exported."""
        if golden is None:
            return
        found = self.run(golden.images, give_back=True)
        try:
            check_golden(golden, found.logits, found.embedding)
        except ValueError as error:
            raise BundleError(f"{GOLDEN}: {error}, on {self.provider}") from error

    def run(self, images: NDArray[np.uint8], *, features: bool = False, give_back: bool = False) -> Outputs:
        """images: uint8 [N, H, W, 3].

        ``give_back``: its memory is not kept for the next run. On a CPU that is 50 MB a model for what runs once, when
        it is loaded.
        """
        names = ["logits", "embedding", "features"] if features else ["logits", "embedding"]
        options = onnxruntime.RunOptions()
        if give_back and not self.is_accelerated:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        values = self._session.run(names, {"image": images}, options)
        return Outputs(values[0], values[1], values[2] if features else None)


@cache
def active_provider(provider: str) -> str:
    """The execution provider that ``provider`` leads to here, tried out with a graph of one node.

    Raises ProviderUnavailable, which says what to do.
    """
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    twice = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "probe", [value], [twice])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = _open(model.SerializeToString(), provider)
    session.run(["y"], {"x": np.ones(1, np.float32)})
    active: str = session.get_providers()[0]
    return active


def _open(onnx: bytes, provider: str) -> Any:
    wanted = _candidates(provider)
    if wanted != (CPU,):
        _preload_cuda()
    try:
        session = onnxruntime.InferenceSession(
            onnx, sess_options=_session_options(), providers=[(name, _OPTIONS[name]) for name in wanted]
        )
    except Exception as error:  # what a provider raises that cannot be loaded differs between releases
        if provider == "auto" and wanted != (CPU,):
            return _open(onnx, "cpu")
        raise ProviderUnavailable(f"ONNX Runtime cannot load the graph on {wanted[0]}: {error}") from error
    active = session.get_providers()[0]
    if provider != "auto" and active != wanted[0]:
        raise ProviderUnavailable(
            f"The provider {provider!r} is asked for, but ONNX Runtime fell back to {active}. "
            "Install the GPU build and the driver's CUDA libraries, or set LIGHTTRAP_PROVIDER=cpu."
        )
    return session


def _candidates(provider: str) -> tuple[str, ...]:
    available = onnxruntime.get_available_providers()
    if provider == "auto":
        return (CUDA, CPU) if CUDA in available and has_gpu() else (CPU,)
    wanted = _WANTED[provider]
    if wanted[0] not in available:
        raise ProviderUnavailable(
            f"The provider {provider!r} is asked for, but this ONNX Runtime has only {', '.join(available)}. "
            "Install onnxruntime-gpu, or set LIGHTTRAP_PROVIDER=cpu."
        )
    if wanted != (CPU,) and not has_gpu():
        raise ProviderUnavailable(
            f"The provider {provider!r} is asked for, but no NVIDIA GPU with its driver was found. "
            "Install the driver, or set LIGHTTRAP_PROVIDER=cpu."
        )
    return wanted


@cache
def has_gpu() -> bool:
    """Whether NVIDIA's driver sees a GPU. Asked first: where CUDA cannot be loaded, ONNX Runtime is loud."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    seen = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return seen and count.value > 0


def _preload_cuda() -> None:
    preload = getattr(onnxruntime, "preload_dlls", None)  # the CPU build has none
    if preload is not None:
        preload()


def _session_options() -> Any:
    """One thread a run, none that spins: one run per core beats two threads that wait for each other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options
