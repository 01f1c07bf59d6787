"""An ONNX file is untrusted: what could read other files or run other code is refused before it is loaded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from models.onnx_policy import check_graph
from tests.tiny_bundle import EMBEDDING_DIM, SIZE_PX, TAXA, write_tiny_bundle


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return (write_tiny_bundle(tmp_path_factory.mktemp("store")) / "model.onnx").read_bytes()


def _check(data: bytes) -> None:
    check_graph(data, size_px=SIZE_PX, num_classes=len(TAXA), embedding_dim=EMBEDDING_DIM)


def _external() -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "stolen")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="passwd")
    return tensor


def _external_initializer(model: ModelProto) -> None:
    model.graph.initializer.append(_external())


def _external_constant(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=_external()))


def _external_in_a_branch(model: ModelProto) -> None:
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1])
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["inner"], value=_external())], "branch", [], [output]
    )
    condition = numpy_helper.from_array(np.array(True), "condition")
    model.graph.initializer.append(condition)
    model.graph.node.append(
        helper.make_node("If", ["condition"], ["chosen"], then_branch=branch, else_branch=branch)
    )


def _custom_domain(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def _local_function(model: ModelProto) -> None:
    model.functions.append(
        helper.make_function(
            "", "Sly", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 17)]
        )
    )


def _second_input(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def _float_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def _fixed_batch(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _renamed_output(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["logits"], ["answers"]))
    model.graph.output[0].name = "answers"


def _extra_output(model: ModelProto) -> None:
    model.graph.output.append(
        helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["B", EMBEDDING_DIM, 1, 1])
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_external_initializer, "keeps its data in another file|not a valid ONNX"),
        (_external_constant, "keeps its data in another file|not a valid ONNX"),
        (_external_in_a_branch, "keeps its data in another file|not a valid ONNX"),
        (_custom_domain, "operator domain 'com.example'"),
        (_local_function, "local function|not a valid ONNX"),
        (_second_input, "only 'image' is allowed"),
        (_float_input, "'image' is FLOAT|not a valid ONNX"),
        (_fixed_batch, r"'image' is UINT8 \[1, 32, 32, 3\]; expected UINT8 \[B, 32, 32, 3\]"),
        (_renamed_output, "has no 'logits'"),
        (_extra_output, "exactly .* are allowed"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_refused(
    graph: bytes, damage: Callable[[ModelProto], None], message: str
) -> None:
    model = onnx.load_model_from_string(graph)
    damage(model)
    with pytest.raises(ValueError, match=message):
        _check(model.SerializeToString())


def test_a_graph_that_keeps_the_contract_passes(graph: bytes) -> None:
    _check(graph)


@pytest.mark.parametrize("data", [b"", b"\x80\x04.", b"PK\x03\x04", b"\x08" * 100])
def test_what_is_no_onnx_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a valid ONNX file"):
        _check(data)


def test_a_file_that_is_cut_off_is_refused(graph: bytes) -> None:
    with pytest.raises(ValueError, match="not a valid ONNX file"):
        _check(graph[: len(graph) // 2])


def test_the_check_reads_no_file(graph: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """External data that *is* there, in the working directory, must not make a graph acceptable."""
    (tmp_path / "passwd").write_bytes(b"\x00" * 4)
    monkeypatch.chdir(tmp_path)
    model = onnx.load_model_from_string(graph)
    _external_initializer(model)
    with pytest.raises(ValueError, match=r"another file|not a valid ONNX"):
        _check(model.SerializeToString())
