"""What torch writes into a graph of the machine that exported it, taken out: stack traces, paths, names of modules."""

from collections.abc import Iterator
from typing import Any

import onnx


def without_traces(model: onnx.ModelProto) -> bytes:
    """The graph's bytes without metadata and doc strings, which are taken out in place.

    Nothing computes with them; they name folders of whoever trained, and would go with every bundle that is given away.
    """
    for part in _parts(model):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return bytes(model.SerializeToString())


def _parts(model: onnx.ModelProto) -> Iterator[Any]:
    yield model
    for function in model.functions:
        yield function
        yield from function.node
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        yield graph
        yield from (*graph.input, *graph.output, *graph.value_info, *graph.initializer, *graph.node)
        graphs += [
            inner
            for node in graph.node
            for attribute in node.attribute
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField("g") else ()))
        ]
