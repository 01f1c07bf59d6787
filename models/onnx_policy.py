"""What an ONNX graph must be before it is loaded: an untrusted file's shape, domains, data. Runs nothing."""

from collections.abc import Iterator

import onnx

OUTPUTS = ("logits", "embedding", "features")
STANDARD_DOMAINS = {"", "ai.onnx"}
MAX_OUTPUT_SIDE = 4096


def check_graph(data: bytes, *, size_px: int, num_classes: int, embedding_dim: int) -> None:
    """Raise ValueError, saying what and where, unless the graph keeps the contract of a bundle.

    Input ``image`` uint8 [B, size_px, size_px, 3]; outputs ``logits`` float32 [B, num_classes], ``embedding``
    float32 [B, embedding_dim], ``features`` float32 [B, embedding_dim, h, w]. Everything inside the file.
    """
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf raises types of its own
        raise ValueError(f"is not a valid ONNX file ({type(error).__name__})") from error
    _check_domains(model)
    _check_tensors(model)  # before the checker, which would look for the other file
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # as above
        raise ValueError(f"is not a valid ONNX file ({_first_line(error)})") from error
    graph = model.graph
    inputs = {value.name: _signature(value) for value in graph.input}
    outputs = {value.name: _signature(value) for value in graph.output}
    uint8, float32 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT
    _expect(inputs, "image", uint8, (None, size_px, size_px, 3))
    if len(inputs) != 1:
        raise ValueError(f"has inputs {sorted(inputs)}; only 'image' is allowed")
    _expect(outputs, "logits", float32, (None, num_classes))
    _expect(outputs, "embedding", float32, (None, embedding_dim))
    element_type, shape = outputs.get("features", (None, ()))
    if element_type != float32 or len(shape) != 4 or shape[0] is not None or shape[1] != embedding_dim:
        raise ValueError(f"output 'features' must be float32 [B, {embedding_dim}, h, w], not {_words(shape)}")
    if set(outputs) != set(OUTPUTS):
        raise ValueError(f"has outputs {sorted(outputs)}; exactly {sorted(OUTPUTS)} are allowed")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _check_domains(model: onnx.ModelProto) -> None:
    for entry in model.opset_import:
        if entry.domain not in STANDARD_DOMAINS:
            raise ValueError(
                f"imports the operator domain {entry.domain!r}; only standard operators are allowed"
            )
    if model.functions:
        raise ValueError(f"defines the local function {model.functions[0].name!r}; none are allowed")
    for graph in _graphs(model.graph):
        for node in graph.node:
            if node.domain not in STANDARD_DOMAINS:
                raise ValueError(f"node {node.name!r} uses the operator domain {node.domain!r}")


def _check_tensors(model: onnx.ModelProto) -> None:
    for graph in _graphs(model.graph):
        tensors = [*graph.initializer]
        tensors += [part for sparse in graph.sparse_initializer for part in (sparse.values, sparse.indices)]
        for node in graph.node:
            for attribute in node.attribute:
                tensors += [attribute.t, *attribute.tensors]
                tensors += [attribute.sparse_tensor.values, attribute.sparse_tensor.indices]
        for tensor in tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                raise ValueError(
                    f"tensor {tensor.name!r} keeps its data in another file; everything must be inside"
                )


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _signature(value: onnx.ValueInfoProto) -> tuple[int, tuple[int | None, ...]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, tuple(
        dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim
    )


def _expect(
    values: dict[str, tuple[int, tuple[int | None, ...]]],
    name: str,
    element_type: int,
    shape: tuple[int | None, ...],
) -> None:
    if name not in values:
        raise ValueError(f"has no {name!r}; it has {sorted(values)}")
    found_type, found_shape = values[name]
    if found_type != element_type or found_shape != shape:
        kind = onnx.TensorProto.DataType.Name(element_type)
        found = onnx.TensorProto.DataType.Name(found_type)
        raise ValueError(f"{name!r} is {found} {_words(found_shape)}; expected {kind} {_words(shape)}")


def _words(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('B' if size is None else str(size) for size in shape)}]"
