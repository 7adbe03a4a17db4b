"""The lines of Python in the model card that run the ONNX model."""

from stages.configuration.schema import Kind

_START = """import numpy as np
import onnxruntime
from transformers import AutoConfig, AutoTokenizer

folder = "path/to/this/folder"
tokenizer, labels = AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder).id2label
session = onnxruntime.InferenceSession(f"{{folder}}/{file}", disabled_optimizers=["SkipLayerNormFusion"])  # its slow one
names = [entry.name for entry in session.get_inputs()]

rows = tokenizer(["one text", "another one"], padding=True, truncation=True, return_tensors="np")
(logits,) = session.run(None, {{name: rows[name] for name in names}})
"""
_TOKENS = """for row, codes in zip(rows.encodings, logits.argmax(axis=-1)):
    print([(piece, labels[code]) for piece, code in zip(row.tokens, codes)])"""
_LABEL = "print([labels[code] for code in logits.argmax(axis=-1)])"
_LABELS = (
    "print([[labels[code] for code in np.flatnonzero(row >= {threshold:.6g})] for row in 1 / (1 + np.exp(-logits))])"
)
_NUMBER = "print(logits[:, 0])"


def onnx_snippet(file: str, kind: Kind, *, has_labels: bool, threshold: float | None) -> str:
    """The code block for the model `file`. `threshold`: as `CardFacts` has it."""
    if kind == "tokens":
        end = _TOKENS
    elif threshold is not None:
        end = _LABELS.format(threshold=threshold)
    else:
        end = _LABEL if has_labels else _NUMBER
    return f"```python\n{_START.format(file=file)}{end}\n```"
