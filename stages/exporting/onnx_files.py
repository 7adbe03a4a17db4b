"""The ONNX models in the exported folder."""

ONNX = "model.onnx"
ONNX_INT8 = "model_int8.onnx"

ONNX_RUNTIME = "com.microsoft"
"""The domain of ONNX Runtime's own operators, which no other runtime has."""
