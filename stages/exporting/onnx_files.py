"""The names of the ONNX models in the exported folder."""

ONNX = "model.onnx"
ONNX_INT8 = "model_int8.onnx"
