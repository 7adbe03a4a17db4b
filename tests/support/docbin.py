"""spaCy's binary training data: bytes that spaCy itself made, and a writer of variants."""

import base64
import zlib
from typing import Any

import msgpack

BY_SPACY = base64.b64decode(
    "eJzrXF6WWlScmZ+32EDPcGliSUlR8VxHZ08vbx9fP/+As4xHzjIePct4bFlJfnZqXvFRzgi9zsx3Cbmmr5+Jvvp1i33bfgYCgBlK1zCiijNiqE"
    "QFnaWXTkV4WO9/73H/qH7gwd+E7IGZh24PIfCHgzmuSsicC0YTUs9EmvFwMGlWsemyNL50GE0re/hEjXULvvcUwGha2ZO86fZk3X1rNGE0reyJ"
    "02jZteltadLqo5e5l3+t7SWkHpbeGkhMB4sOrfF5c7N+PYwmpJ5c//TN3JkyM202D4wmpB7mn8o35gtX5DnwwcQJee/4uZl60ZtCnu4J8r6VJX"
    "riFiF7YOah20MIxD7/lpH/y/2R4SORVTkvPsyllT2CP9wOfbbKLIPRhNSTGz+2V2YWrUt8lwmjaWUPvdLbStPqe1bsO31d0reIGZT+MCfTGILp"
    "re6t57dklp5mGE2uPYQAqeFGLrjPlX77o0TBP/bJS193Vc31IKSe3Hpuzx3LmeVeL41hNHmuJQzOnFVaMm+dsrx30Y/2ZLX9DbSypx7q4TdKUo"
    "dcv7YtJaSeGYc4oXBbyYhKEwLk5p9Dm9f/fLvYUQFGE1IP808jifXPsuKCxOTU4iPijGAAFIEQYBqIluek5qWXZBQfEeEACrNBbYLh5cUlRZl5"
    "6cV3GJQXLOLiWqiwUG+JU05p6jKnosS8lJLF7gGuyz0Si5LyS4sWe2fmLvbxd17sk5q6zC8/KT+lcrF/kPuyANegYH+/JVH5h1cvSQJpTQJrXZ"
    "KcWJy6KrUsNa9EIS8xN3V5BsSYRZl5i7OBJuUATcnJB7YOU5bmJhZlFy/OS01flgc2dll+QWpeasqi/KLF+UXpi0syUpdUAU1ffrTx8OaUo7uW"
    "H20C08ueTV/6bM4aoEUlxVOblpUUJZal5py2/wAJl6XFBflFJadhwQSTbz7ClJdy6AhLSWVB6mKbNJMjLCmJJYlHWBBacKtosIfbAjMWhy3oro"
    "BxCblyaVpOYnrx1MZNGYnF8aV52Xn55XnxkAg+RAvB1UA6Lz69KL+0oHjqEcYJyAgAZVHC9A=="
)
"""What spaCy 3.8.18 wrote with `DocBin(docs=docs).to_bytes()` of documents that `tests/sources/test_tool_formats.py` names."""


def changed(**changes: Any) -> bytes:
    """The same file with other entries of its map; None leaves one out."""
    content = {**msgpack.unpackb(zlib.decompress(BY_SPACY)), **changes}
    return packed({key: value for key, value in content.items() if value is not None})


def packed(content: object) -> bytes:
    return zlib.compress(msgpack.packb(content))
