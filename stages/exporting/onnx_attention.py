"""Attention of packed rows in an ONNX graph, by ONNX Runtime's fused operator.

That takes padded rows and their mask, in time that grows with the square of the longest. So it takes a quarter of the rows at
a time, of like lengths. While the graph is exported, one operator of our own stands for it all: PyTorch's exporter takes long
over sizes that only the data tell.
"""

from collections.abc import Iterator

import numpy as np
import torch
from onnx import ModelProto, NodeProto
from onnx.helper import get_node_attr_value, make_node, make_opsetid
from onnx.numpy_helper import from_array

from stages.exporting.onnx_files import ONNX_RUNTIME

_OURS = "stagewright"
_GROUPS = range(4)
"""The graph has as many attentions a layer, of no rows where a batch has fewer."""

_SIZES = "attention.sizes"
"""[groups]: how many rows each has."""
_PLACE = "attention.place"
"""[sub-words]: where they stand in the groups, flattened and joined."""
_MASK = [f"attention.mask.{group}" for group in _GROUPS]
"""[rows of the group, longest of them]: 0 where there is padding."""
_NUMBER = [f"attention.number.{group}" for group in _GROUPS]
"""Likewise: which sub-word stands there."""

_ROUNDING, _COUNT, _FIRST, _SECOND, _FLAT = (
    f"attention.{name}" for name in ("rounding", "count", "first", "second", "flat")
)
_CONSTANTS = {_ROUNDING: [*reversed(_GROUPS)], _COUNT: [len(_GROUPS)], _FIRST: [0], _SECOND: [1], _FLAT: [-1]}


def row_attention(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    present: torch.Tensor,
    number: torch.Tensor,
    *,
    heads: int,
    scale: float,
) -> torch.Tensor:
    """What queries see of their own rows, [queries, width]; it can be exported, and not computed.

    Keys and values are [sub-words, width], and so are queries; or queries are [rows, 1, width], one of each row.
    `present` [rows, longest], int32: 0 where there is padding; the shortest row is the first.
    `number` [rows, longest]: which sub-word stands there; where there is padding, any.
    """
    attended: torch.Tensor = torch.onnx.ops.symbolic(
        f"{_OURS}::RowAttention",
        [queries, keys, values, present, number],
        {"num_heads": heads, "scale": scale, "one_a_row": int(queries.dim() == 3)},
        dtype=queries.dtype,
        shape=(queries.shape[0], queries.shape[-1]),
        version=1,
    )
    return attended


def expand_row_attention(model: ModelProto) -> None:
    """Put ONNX Runtime's operators in place of `row_attention`."""
    nodes = list[NodeProto]()
    for node in model.graph.node:
        if node.domain != _OURS:
            nodes.append(node)
            continue
        if not any(_PLACE in known.output for known in nodes):
            nodes += _groups(*node.input[3:])
        nodes += _attention(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(from_array(np.array(value), name) for name, value in _CONSTANTS.items())
    others = [opset for opset in model.opset_import if opset.domain != _OURS]
    del model.opset_import[:]
    model.opset_import.extend([*others, make_opsetid(ONNX_RUNTIME, 1)])


def _groups(present: str, number: str) -> Iterator[NodeProto]:
    """Rows cut into groups, those without the columns that only longer rows have."""
    yield make_node("Shape", [present], [rows := "attention.rows"], start=0, end=1)
    yield make_node("Add", [rows, _ROUNDING], [rounded := "attention.rounded"])
    yield make_node("Div", [rounded, _COUNT], [_SIZES])
    uncut, numbers = ([f"{name}.uncut" for name in names] for names in (_MASK, _NUMBER))
    yield make_node("Split", [present, _SIZES], uncut, axis=0)
    yield make_node("Split", [number, _SIZES], numbers, axis=0)
    yield make_node("Slice", [present, _FIRST, _SECOND], [shortest := "attention.shortest"])
    flat = [f"{mask}.flat" for mask in _MASK]
    for group in _GROUPS:
        # a group of no rows has the shortest row's columns, for the operator takes none without a length
        yield make_node("Concat", [shortest, uncut[group]], [seen := f"{_MASK[group]}.seen"], axis=0)
        yield make_node("ReduceMax", [seen, _FIRST], [used := f"{_MASK[group]}.used"], keepdims=0)
        yield make_node("NonZero", [used], [found := f"{_MASK[group]}.found"])
        yield make_node("Squeeze", [found, _FIRST], [columns := f"{_MASK[group]}.columns"])
        yield make_node("Gather", [uncut[group], columns], [_MASK[group]], axis=1)
        yield make_node("Gather", [numbers[group], columns], [_NUMBER[group]], axis=1)
        yield make_node("Reshape", [_MASK[group], _FLAT], [flat[group]])
    yield make_node("Concat", flat, [joined := "attention.mask"], axis=0)
    yield make_node("NonZero", [joined], [places := "attention.places"])
    yield make_node("Squeeze", [places, _FIRST], [_PLACE])


def _attention(node: NodeProto) -> Iterator[NodeProto]:
    *packed, _, _ = node.input
    (name,) = node.output
    heads, scale, one_a_row = (get_node_attr_value(node, key) for key in ("num_heads", "scale", "one_a_row"))
    queries, keys, values, attended, flat = (
        [f"{name}.{part}.{group}" for group in _GROUPS] for part in ("queries", "keys", "values", "attended", "flat")
    )
    if one_a_row:
        yield make_node("Split", [packed[0], _SIZES], queries, axis=0)
    for group in _GROUPS:
        parts = [queries[group], keys[group], values[group]]
        for source, part in list(zip(packed, parts, strict=True))[one_a_row:]:
            yield make_node("Gather", [source, _NUMBER[group]], [part])
        yield make_node(
            "MultiHeadAttention",
            [*parts, "", _MASK[group]],
            [attended[group]],
            domain=ONNX_RUNTIME,
            num_heads=heads,
            scale=scale,
        )
        yield make_node("Flatten", [attended[group]], [flat[group]], axis=2)
    yield make_node("Concat", flat, [joined := name if one_a_row else f"{name}.joined"], axis=0)
    if not one_a_row:
        yield make_node("Gather", [joined, _PLACE], [name])
