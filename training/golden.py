"""Golden images of an exported network. See ``models.golden``."""

import onnxruntime

from models.golden import Golden, draw


def golden_answers(onnx: bytes, size_px: int) -> Golden:
    """What ONNX Runtime says of drawn images here, for every machine that will run this network to compare."""
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    images = draw(size_px)
    logits, embedding = session.run(["logits", "embedding"], {"image": images})
    return Golden(images, logits, embedding)
