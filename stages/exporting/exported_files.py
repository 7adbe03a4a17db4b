"""The models in the exported folder beside PyTorch's."""

ONNX = "model.onnx"
ONNX_INT8 = "model_int8.onnx"
SAVED_MODEL = "saved_model"
"""TensorFlow's, which is a folder."""

ONNX_RUNTIME = "com.microsoft"
"""The domain of ONNX Runtime's own operators, which no other runtime has."""
