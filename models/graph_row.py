"""One more logit in an ONNX graph, without the framework that made it. Bytes in, bytes out; runs nothing.

The logit is linear in ``embedding``, which every bundle's graph has, whatever its head is: linear, cosine, several
experts. So the graph goes on keeping the whole contract, and whoever runs it (the service, ``evaluate``, another
engine) needs to know nothing of species that were added.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_LOGITS, _EMBEDDING = "logits", "embedding"
_TRAINED, _ADDED = "trained_logits", "added_logits"
_WEIGHT, _BIAS = "added_weight", "added_bias"


def add_class(data: bytes, weight_D: NDArray[np.float32], bias: float) -> bytes:
    """The graph with one more class behind the others: ``embedding @ weight_D + bias``.

    The first one brings two nodes; each further one is a column more of their weight. Raises ValueError where the
    graph is not one of a bundle.
    """
    model = onnx.load_model_from_string(data)
    graph = model.graph
    output = next((value for value in graph.output if value.name == _LOGITS), None)
    if output is None:
        raise ValueError(f"the graph has no output {_LOGITS!r}")
    column_D1, last_1 = weight_D.astype(np.float32)[:, None], np.array([bias], np.float32)
    held = {tensor.name: tensor for tensor in graph.initializer}
    if _WEIGHT in held and _BIAS in held:
        widened = np.hstack([numpy_helper.to_array(held[_WEIGHT]), column_D1])
        held[_WEIGHT].CopyFrom(numpy_helper.from_array(widened, _WEIGHT))
        longer = np.concatenate([numpy_helper.to_array(held[_BIAS]), last_1])
        held[_BIAS].CopyFrom(numpy_helper.from_array(longer, _BIAS))
    else:
        _rename(graph, _LOGITS, _TRAINED)
        graph.initializer.extend(
            [numpy_helper.from_array(column_D1, _WEIGHT), numpy_helper.from_array(last_1, _BIAS)]
        )
        graph.node.extend(
            [
                helper.make_node("Gemm", [_EMBEDDING, _WEIGHT, _BIAS], [_ADDED], name="added_species"),
                helper.make_node("Concat", [_TRAINED, _ADDED], [_LOGITS], axis=1, name="all_species"),
            ]
        )
    output.type.tensor_type.shape.dim[1].dim_value += 1
    del graph.value_info[:]  # shapes of what is inside: optional, and some are other ones now
    return bytes(model.SerializeToString())


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give the tensor that nodes make and take another name. The outputs' own list stays."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
