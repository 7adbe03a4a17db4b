"""The TensorFlow model of an export."""
