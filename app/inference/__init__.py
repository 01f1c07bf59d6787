"""Photos to arrays, arrays to logits: decoding processes and ONNX sessions. No HTTP, no database."""
