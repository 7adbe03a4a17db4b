"""The exported folder: what `transformers.pipeline` loads, the ONNX model and the model card."""
