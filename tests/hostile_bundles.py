"""Bundles as somebody might send them: zipped, damaged, hostile. Each is made from a good one."""

import hashlib
import io
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models import bundle


def files_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in bundle.file_names(folder)}


def zipped(files: Mapping[str, bytes], prefix: str = "", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(f"{prefix}{name}", content)
    return stream.getvalue()


def with_entry(
    files: Mapping[str, bytes],
    name: str,
    content: bytes = b"x",
    *,
    mode: int = stat.S_IFREG | 0o644,
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    """The zip with one entry more, whatever its name and kind."""
    stream = io.BytesIO(zipped(files))
    with zipfile.ZipFile(stream, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of the very names that are meant here
        info = zipfile.ZipInfo("placeholder")
        info.filename, info.external_attr, info.compress_type = name, mode << 16, method
        archive.writestr(info, content)
    return stream.getvalue()


def hashed_anew(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """With SHA256SUMS that fit, so that the next check is the one that speaks."""
    content = {name: data for name, data in files.items() if name not in (bundle.SUMS, bundle.SIGNATURE)}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(content.items())]
    return {**content, bundle.SUMS: "".join(lines).encode()}


def with_graph(files: Mapping[str, bytes], change: Callable[[onnx.ModelProto], None]) -> dict[str, bytes]:
    """With another network and sums that fit."""
    model = onnx.load_model_from_string(files[bundle.MODEL])
    change(model)
    return hashed_anew({**files, bundle.MODEL: model.SerializeToString()})


def external_data_in_a_branch(model: onnx.ModelProto) -> None:
    stolen = numpy_helper.from_array(np.zeros(1, np.float32), "stolen")
    stolen.ClearField("raw_data")
    stolen.data_location = TensorProto.EXTERNAL
    stolen.external_data.add(key="location", value="passwd")
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1])
    branch = helper.make_graph([helper.make_node("Constant", [], ["inner"], value=stolen)], "b", [], [output])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "condition"))
    model.graph.node.append(
        helper.make_node("If", ["condition"], ["chosen"], then_branch=branch, else_branch=branch)
    )


def custom_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def asks_for_much_memory(model: onnx.ModelProto) -> None:
    """A hundred bytes that make a tensor of 64 GB and add it to the logits."""
    size = numpy_helper.from_array(np.array([16_000_000_000], np.int64), "size")
    value = numpy_helper.from_array(np.array([0.5], np.float32))
    model.graph.initializer.append(size)
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["huge"], value=value),
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("Add", ["plain_logits", "most"], ["logits"]),
    ]
    model.graph.node[-1].output[0] = "plain_logits"
    model.graph.node.extend(nodes)


def never_ends(model: onnx.ModelProto) -> None:
    """A loop of 2**62 rounds before the logits."""
    initial = numpy_helper.from_array(np.zeros(1, np.float32), "start")
    rounds = numpy_helper.from_array(np.array(2**62, np.int64), "rounds")
    going_on = numpy_helper.from_array(np.array(True), "going_on")
    model.graph.initializer.extend([initial, rounds, going_on])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["keep"], ["keep_out"]),
            helper.make_node("Sin", ["carried"], ["carried_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("keep", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("keep_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried_out", TensorProto.FLOAT, [1]),
        ],
    )
    model.graph.node[-1].output[0] = "plain_logits"
    model.graph.node.append(helper.make_node("Loop", ["rounds", "going_on", "start"], ["end"], body=body))
    model.graph.node.append(helper.make_node("Add", ["plain_logits", "end"], ["logits"]))


def other_weights(model: onnx.ModelProto) -> None:
    """Right shapes, other answers than the golden ones."""
    for tensor in model.graph.initializer:
        if tensor.name == "weights":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:, ::-1].copy(), "weights"))
