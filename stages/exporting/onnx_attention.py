"""Attention of packed rows in an ONNX graph, with ONNX Runtime's fused operator.

The operator takes padded rows and their mask, and its time grows with the square of the longest row. So it is given a quarter of
the rows at a time, of similar lengths, unless there is no padding. During the export, one operator of our own stands for all of
this, because PyTorch's exporter is slow where sizes depend on the data.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from onnx import GraphProto, ModelProto, NodeProto, TensorProto
from onnx.helper import get_node_attr_value, make_empty_tensor_value_info, make_graph, make_node
from onnx.numpy_helper import from_array

from stages.exporting.exported_files import ONNX_RUNTIME

_OURS = "stagewright"
_GROUPS = range(4)
"""The groups of rows in each layer; some are empty if a batch has fewer rows."""

_UNPADDED = "attention.unpadded"
"""Whether there is no padding."""
_ROWS = "attention.rows"
"""[3]: the shape of rows without padding."""
_SIZES = "attention.sizes"
"""[groups]: the number of rows of each."""
_PLACE = "attention.place"
"""[sub-words]: the index of each in the flattened and concatenated groups."""
_MASK = [f"attention.mask.{group}" for group in _GROUPS]
"""By group, [rows, longest]: 0 where there is padding."""
_NUMBER = [f"attention.number.{group}" for group in _GROUPS]
"""By group, [rows, longest]: the index of the sub-word there."""

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
    """Return what queries attend to in their own rows, [queries, width]. It can be exported, but not computed.

    Keys and values are [sub-words, width], and so are queries; or queries are [rows, 1, width], one of each row.
    `present` [rows, longest], int32: 0 where there is padding. Rows of like length should be neighbours.
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
    """Put ONNX Runtime's operators in place of `row_attention`, if the model has any."""
    nodes = list(model.graph.node)
    ours = [place for place, node in enumerate(nodes) if node.domain == _OURS]
    if not ours:
        return
    groups = list(_groups(*nodes[ours[0]].input[3:]))
    for place in ours:
        nodes[place] = _attention(nodes[place])
    nodes[ours[0] : ours[0]] = groups
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(from_array(np.array(value), name) for name, value in _CONSTANTS.items())
    for opset in model.opset_import:
        if opset.domain == _OURS:
            opset.domain = ONNX_RUNTIME  # both are in their first version


def _groups(present: str, number: str) -> Iterator[NodeProto]:
    """Yield the nodes that cut rows into groups, and drop the columns that a group does not use."""
    yield make_node("ReduceMin", [present], [least := "attention.least"], keepdims=0)
    yield make_node("Cast", [least], [_UNPADDED], to=TensorProto.BOOL)
    yield make_node("Shape", [present], [shape := "attention.shape"])
    yield make_node("Concat", [shape, _FLAT], [_ROWS], axis=0)
    yield make_node("Shape", [present], [count := "attention.row_count"], end=1)
    yield make_node("Add", [count, _ROUNDING], [rounded := "attention.rounded"])
    yield make_node("Div", [rounded, _COUNT], [_SIZES])
    uncut, numbers = ([f"{name}.uncut" for name in names] for names in (_MASK, _NUMBER))
    yield make_node("Split", [present, _SIZES], uncut, axis=0)
    yield make_node("Split", [number, _SIZES], numbers, axis=0)
    yield make_node("EyeLike", [present], [diagonal := "attention.diagonal"])
    yield make_node("Slice", [diagonal, _FIRST, _SECOND], [first_column := "attention.first_column"])
    flat = [f"{mask}.flat" for mask in _MASK]
    for group in _GROUPS:
        # the first column stays even where no row has it, so that nothing attends to 0 places
        yield make_node("Concat", [first_column, uncut[group]], [seen := f"{_MASK[group]}.seen"], axis=0)
        yield make_node("ReduceMax", [seen, _FIRST], [used := f"{_MASK[group]}.used"], keepdims=0)
        yield make_node("NonZero", [used], [found := f"{_MASK[group]}.found"])
        yield make_node("Squeeze", [found, _FIRST], [columns := f"{_MASK[group]}.columns"])
        yield make_node("Gather", [uncut[group], columns], [_MASK[group]], axis=1)
        yield make_node("Gather", [numbers[group], columns], [_NUMBER[group]], axis=1)
        yield make_node("Reshape", [_MASK[group], _FLAT], [flat[group]])
    yield make_node("Concat", flat, [joined := "attention.mask"], axis=0)
    yield make_node("NonZero", [joined], [places := "attention.places"])
    yield make_node("Squeeze", [places, _FIRST], [_PLACE])


def _attention(node: NodeProto) -> NodeProto:
    """Return the node that attends in all rows at once if nothing is padded, as in a single row; else in groups."""
    (name,) = node.output
    at_once, in_groups = f"{name}.at_once", f"{name}.in_groups"
    branches = {
        "then_branch": _branch(at_once, _at_once(node, at_once)),
        "else_branch": _branch(in_groups, _in_groups(node, in_groups)),
    }
    return make_node("If", [_UNPADDED], [name], **branches)


def _branch(output: str, nodes: Iterator[NodeProto]) -> GraphProto:
    return make_graph(list(nodes), output, [], [make_empty_tensor_value_info(output)])


def _at_once(node: NodeProto, output: str) -> Iterator[NodeProto]:
    """Yield the nodes for rows without padding. Without its mask the operator would be faster, but round a row differently."""
    *inputs, mask, _ = node.input
    for part in range(int(_is_one_a_row(node)), 3):
        yield make_node("Reshape", [inputs[part], _ROWS], [rows := f"{output}.{part}"])
        inputs[part] = rows
    yield _fused(node, [*inputs, "", mask], f"{output}.attended")
    yield make_node("Flatten", [f"{output}.attended"], [output], axis=2)


def _in_groups(node: NodeProto, output: str) -> Iterator[NodeProto]:
    """Yield the nodes that attend in each group, and join the results in the order of the pack."""
    queries, keys, values, attended, flat = (
        [f"{output}.{part}.{group}" for group in _GROUPS] for part in ("queries", "keys", "values", "attended", "flat")
    )
    spread = list(zip(node.input, (queries, keys, values), strict=False))
    if _is_one_a_row(node):
        del spread[0]
        yield make_node("Split", [node.input[0], _SIZES], queries, axis=0)
    for group in _GROUPS:
        for packed, padded in spread:
            yield make_node("Gather", [packed, _NUMBER[group]], [padded[group]])
        yield _fused(node, [queries[group], keys[group], values[group], "", _MASK[group]], attended[group])
        yield make_node("Flatten", [attended[group]], [flat[group]], axis=2)
    if _is_one_a_row(node):
        yield make_node("Concat", flat, [output], axis=0)
    else:
        yield make_node("Concat", flat, [joined := f"{output}.joined"], axis=0)
        yield make_node("Gather", [joined, _PLACE], [output])


def _is_one_a_row(node: NodeProto) -> bool:
    return bool(get_node_attr_value(node, "one_a_row"))


def _fused(node: NodeProto, inputs: Sequence[str], output: str) -> NodeProto:
    settings = {name: get_node_attr_value(node, name) for name in ("num_heads", "scale")}
    return make_node("MultiHeadAttention", inputs, [output], domain=ONNX_RUNTIME, **settings)
