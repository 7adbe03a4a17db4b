"""ONNX's operators, as TensorFlow computes them.

Each function takes the inputs of its operator in order, None for one that is left out, and the attributes by name, with the
defaults of operator set 20 (https://onnx.ai/onnx/operators). An attribute that a function doesn't take is a TypeError, and what
it takes but can't do is an UntranslatedError, so that nothing is left out in silence.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.numpy_helper import to_array

Tensor: TypeAlias = Any
"""A tensor of TensorFlow, which has no types."""
Parts: TypeAlias = Callable[[int], Tensor]
"""A sequence of ONNX: it gives the tensor at a place, counted from 0. How many there are, only the data may tell."""
Operator: TypeAlias = Callable[..., Any]
"""Returns one tensor, or a tuple with one for each output."""

OPERATORS: dict[str, Operator] = {
    # of one input or two, each number by itself
    "Abs": tf.abs,
    "Acos": tf.acos,
    "Add": tf.add,
    "And": tf.logical_and,
    "BitwiseAnd": tf.bitwise.bitwise_and,
    "BitwiseNot": tf.bitwise.invert,
    "BitwiseOr": tf.bitwise.bitwise_or,
    "Ceil": tf.math.ceil,
    "Cos": tf.cos,
    "Equal": tf.equal,
    "Erf": tf.math.erf,
    "Exp": tf.exp,
    "Floor": tf.floor,
    "Greater": tf.greater,
    "GreaterOrEqual": tf.greater_equal,
    "Identity": tf.identity,
    "IsNaN": tf.math.is_nan,
    "Less": tf.less,
    "LessOrEqual": tf.less_equal,
    "Log": tf.math.log,
    "Max": lambda *inputs: reduce(tf.maximum, inputs),
    "Min": lambda *inputs: reduce(tf.minimum, inputs),
    "Mul": tf.multiply,
    "Neg": tf.negative,
    "Not": tf.logical_not,
    "Or": tf.logical_or,
    "Pow": lambda x, y: tf.pow(x, tf.cast(y, x.dtype)),
    "Reciprocal": tf.math.reciprocal,
    "Relu": tf.nn.relu,
    "Round": tf.round,
    "Sigmoid": tf.sigmoid,
    "Sign": tf.sign,
    "Sin": tf.sin,
    "Softplus": tf.math.softplus,
    "Sqrt": tf.sqrt,
    "Sub": tf.subtract,
    "Tanh": tf.tanh,
    "Where": tf.where,
    "Xor": tf.math.logical_xor,
    # of whole tensors
    "NonZero": lambda x: tf.transpose(tf.where(x)),
    "Range": tf.range,
    "Tile": tf.tile,
}
"""The function of each operator, by its name."""


class UntranslatedError(Exception):
    """A graph does what has no translation here. The message says what."""


def _operator(function: Operator) -> Operator:
    """Enter a function as the operator of its name."""
    OPERATORS[function.__name__.removeprefix("_")] = function
    return function


def _known(tensor: Tensor, what: str) -> NDArray[Any]:
    """Return what has to be known before the graph is computed, such as axes."""
    value: NDArray[Any] | None = tf.get_static_value(tensor)
    if value is None:
        raise UntranslatedError(f"{what} that only the data tell")
    return value


def _integers(tensor: Tensor, what: str) -> list[int]:
    return [int(each) for each in np.ravel(_known(tensor, what))]


def _shape(tensor: Tensor) -> Tensor:
    return tf.shape(tensor, out_type=tf.int64)


def _axis_of(axis: int, rank: int) -> int:
    return axis + rank if axis < 0 else axis


# Numbers


@_operator
def _Cast(x: Tensor, *, to: int, saturate: int = 1) -> Tensor:  # for 8-bit floats alone
    return tf.cast(x, tensor_dtype_to_np_dtype(to))


@_operator
def _CastLike(x: Tensor, like: Tensor, *, saturate: int = 1) -> Tensor:
    return tf.cast(x, like.dtype)


@_operator
def _Clip(x: Tensor, least: Tensor | None = None, most: Tensor | None = None) -> Tensor:
    x = x if least is None else tf.maximum(x, least)
    return x if most is None else tf.minimum(x, most)


@_operator
def _Div(x: Tensor, y: Tensor) -> Tensor:
    return tf.divide(x, y) if x.dtype.is_floating else tf.truncatediv(x, y)


@_operator
def _Mod(x: Tensor, y: Tensor, *, fmod: int = 0) -> Tensor:
    return tf.truncatemod(x, y) if fmod else tf.math.floormod(x, y)


@_operator
def _Gelu(x: Tensor, *, approximate: bytes = b"none") -> Tensor:
    return tf.nn.gelu(x, approximate=approximate == b"tanh")


@_operator
def _Softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return tf.nn.softmax(x, axis=axis)


@_operator
def _LogSoftmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return tf.nn.log_softmax(x, axis=axis)


@_operator
def _LayerNormalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    axes = list(range(_axis_of(axis, x.shape.rank), x.shape.rank))
    # not `squared_difference`: TensorFlow would put an operator of oneDNN in its place, which is off by as much as 0.01
    centred = x - tf.reduce_mean(x, axes, keepdims=True)
    normal = centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axes, keepdims=True) + epsilon) * scale
    return normal if bias is None else normal + bias


# Products


@_operator
def _MatMul(x: Tensor, y: Tensor) -> Tensor:
    product = tf.matmul(x[None] if x.shape.rank == 1 else x, y[:, None] if y.shape.rank == 1 else y)
    product = tf.squeeze(product, -1) if y.shape.rank == 1 else product
    return tf.squeeze(product, -1 if y.shape.rank == 1 else -2) if x.shape.rank == 1 else product


@_operator
def _Gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    product = tf.matmul(a, b, transpose_a=bool(transA), transpose_b=bool(transB))
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


@_operator
def _Einsum(*inputs: Tensor, equation: bytes) -> Tensor:
    return tf.einsum(equation.decode(), *inputs)


@_operator
def _DFT(
    x: Tensor,
    length: Tensor | None = None,
    axis: Tensor | None = None,
    *,
    inverse: int = 0,
    onesided: int = 0,
) -> Tensor:
    """Transform complex numbers. The last dimension holds the real part, and the imaginary one if its size is 2."""
    if length is not None or onesided:
        raise UntranslatedError("a Fourier transform of another length, or of one side")
    (along,) = [-2] if axis is None else _integers(axis, "an axis")
    rank = x.shape.rank - 1
    along = along + 1 if along < 0 else along - rank  # from the end, of the complex tensor
    real, imaginary = x[..., 0], x[..., 1] if x.shape[-1] == 2 else tf.zeros_like(x[..., 0])
    swap = list(range(rank))
    swap[along], swap[-1] = swap[-1], swap[along]
    turned = tf.transpose(tf.complex(real, imaginary), swap)
    found = tf.transpose(tf.signal.ifft(turned) if inverse else tf.signal.fft(turned), swap)
    return tf.stack([tf.math.real(found), tf.math.imag(found)], axis=-1)


def _windows(
    x: Tensor, axis: int, size: int, stride: int, dilation: int, pads: Sequence[int], value: float, *, ceil: int = 0
) -> Tensor:
    """Turn [..., length, ...] into [..., windows, size, ...]. `ceil`: whether the last window may reach beyond the end."""
    padding: list[list[Any]] = [[0, 0] for _ in range(x.shape.rank)]
    padding[axis] = list(pads)
    rest = _shape(x)[axis] + sum(pads) - dilation * (size - 1) - 1
    if ceil:
        beyond = -rest % stride
        padding[axis][1] += beyond
        rest += beyond
    padded = tf.pad(x, padding, constant_values=tf.cast(value, x.dtype))
    begins = tf.range(rest // stride + 1) * stride
    return tf.gather(padded, begins[:, None] + dilation * np.arange(size), axis=axis)


@_operator
def _Conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: bytes = b"NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    if auto_pad != b"NOTSET":
        raise UntranslatedError("a convolution without its padding stated")
    outputs, inputs, *sizes = weight.shape
    dimensions = len(sizes)
    seen = x
    for place, size in enumerate(sizes):
        around = (0, 0) if pads is None else (pads[place], pads[place + dimensions])
        stride, dilation = (1 if each is None else each[place] for each in (strides, dilations))
        seen = _windows(seen, 2 * place + 2, size, stride, dilation, around, 0)
    of_windows, in_window = (list(range(first, 2 * dimensions + 2, 2)) for first in (2, 3))
    shape = _shape(seen)
    windows = [shape[place] for place in of_windows]
    size = inputs * math.prod(sizes)
    in_groups = tf.reshape(tf.transpose(seen, [0, 1, *in_window, *of_windows]), tf.stack([shape[0], group, size, -1]))
    found = tf.einsum("rgsw,gos->rgow", in_groups, tf.reshape(weight, [group, outputs // group, size]))
    found = tf.reshape(found, tf.stack([shape[0], outputs, *windows]))
    return found if bias is None else found + tf.reshape(bias, [-1, *[1] * dimensions])


def _pooled(
    function: Callable[..., Tensor],
    padding: float,
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: bytes = b"NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Reduce the windows of each dimension, one dimension after the other."""
    if auto_pad != b"NOTSET":
        raise UntranslatedError("pooling without its padding stated")
    dimensions = len(kernel_shape)
    for place, size in enumerate(kernel_shape):
        around = (0, 0) if pads is None else (pads[place], pads[place + dimensions])
        stride, dilation = (1 if each is None else each[place] for each in (strides, dilations))
        windows = _windows(x, place + 2, size, stride, dilation, around, padding, ceil=ceil_mode)
        x = function(windows, axis=place + 3)
    return x


@_operator
def _MaxPool(x: Tensor, **settings: Any) -> Tensor:
    return _pooled(tf.reduce_max, float(np.finfo(np.float32).min), x, **settings)


@_operator
def _AveragePool(x: Tensor, *, count_include_pad: int = 0, **settings: Any) -> Tensor:
    if count_include_pad and any(settings.get("pads", ())):
        raise UntranslatedError("a mean over padding")
    total, count = (_pooled(tf.reduce_sum, 0, each, **settings) for each in (x, tf.ones_like(x)))
    return total / count


# Sums along axes


def _reduced(
    function: Callable[..., Tensor],
    x: Tensor,
    axes: Tensor | None = None,
    *,
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> Tensor:
    along = None if axes is None else _integers(axes, "axes")
    if not along and noop_with_empty_axes:
        return x
    return function(x, along or None, keepdims=bool(keepdims))


_REDUCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "ReduceL2": tf.math.reduce_euclidean_norm,
    "ReduceMax": tf.reduce_max,
    "ReduceMean": tf.reduce_mean,
    "ReduceMin": tf.reduce_min,
    "ReduceProd": tf.reduce_prod,
    "ReduceSum": tf.reduce_sum,
}
OPERATORS |= {name: partial(_reduced, function) for name, function in _REDUCTIONS.items()}


@_operator
def _ArgMax(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    if select_last_index:
        raise UntranslatedError("the last of equal maxima")
    found = tf.argmax(x, axis, output_type=tf.int64)
    return tf.expand_dims(found, axis) if keepdims else found


@_operator
def _CumSum(x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    return tf.cumsum(x, *_integers(axis, "an axis"), exclusive=bool(exclusive), reverse=bool(reverse))


@_operator
def _TopK(
    x: Tensor,
    k: Tensor,
    *,
    axis: int = -1,
    largest: int = 1,
    sorted: int = 1,
) -> tuple[Tensor, Tensor]:
    if _axis_of(axis, x.shape.rank) != x.shape.rank - 1:
        raise UntranslatedError("the largest along another axis than the last")
    values, places = tf.math.top_k(x if largest else -x, tf.reshape(tf.cast(k, tf.int32), []))
    return values if largest else -values, tf.cast(places, tf.int64)


# Shapes


@_operator
def _Shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    return _shape(x)[start:end]


@_operator
def _Size(x: Tensor) -> Tensor:
    return tf.size(x, out_type=tf.int64)


@_operator
def _Reshape(x: Tensor, shape: Tensor, *, allowzero: int = 0) -> Tensor:
    known = tf.get_static_value(shape)
    if not allowzero and (known is None or 0 in known):  # a 0 stands for the size that there is
        sizes = tf.pad(_shape(x), [[0, max(0, shape.shape[0] - x.shape.rank)]])[: shape.shape[0]]
        shape = tf.where(shape == 0, sizes, shape)
    return tf.reshape(x, shape)


@_operator
def _Expand(x: Tensor, shape: Tensor) -> Tensor:
    return tf.broadcast_to(x, tf.broadcast_dynamic_shape(_shape(x), shape))


@_operator
def _Transpose(x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    return tf.transpose(x, perm)


@_operator
def _Unsqueeze(x: Tensor, axes: Tensor) -> Tensor:
    places = _integers(axes, "axes")
    for axis in sorted(_axis_of(place, x.shape.rank + len(places)) for place in places):
        x = tf.expand_dims(x, axis)
    return x


@_operator
def _Squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    return tf.squeeze(x, None if axes is None else _integers(axes, "axes"))


@_operator
def _Concat(*inputs: Tensor, axis: int) -> Tensor:
    return tf.concat(inputs, axis)


@_operator
def _ConstantOfShape(shape: Tensor, *, value: TensorProto | None = None) -> Tensor:
    filler: NDArray[Any] = np.zeros(1, np.float32) if value is None else to_array(value)
    return tf.fill(shape, tf.constant(filler[0]))


@_operator
def _Pad(
    x: Tensor,
    pads: Tensor,
    value: Tensor | None = None,
    axes: Tensor | None = None,
    *,
    mode: bytes = b"constant",
) -> Tensor:
    if mode != b"constant" or axes is not None:
        raise UntranslatedError("padding by anything but a constant, or along stated axes")
    return tf.pad(x, tf.transpose(tf.reshape(pads, [2, -1])), constant_values=0 if value is None else value)


# Parts


@_operator
def _Slice(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
    places = list(range(starts.shape[0])) if axes is None else _integers(axes, "axes")
    parts: list[Any] = [slice(None)] * x.shape.rank
    for place, axis in enumerate(places):
        parts[axis] = slice(starts[place], ends[place], None if steps is None else steps[place])
    return x[tuple(parts)]


@_operator
def _Split(
    x: Tensor, split: Tensor | None = None, *, axis: int = 0, num_outputs: int | None = None
) -> tuple[Tensor, ...]:
    if split is None:
        assert num_outputs is not None  # one of the two is given
        size = -(-int(x.shape[axis]) // num_outputs)
        sizes: Any = [size] * (num_outputs - 1) + [int(x.shape[axis]) - size * (num_outputs - 1)]
    else:
        sizes = split
    return tuple(tf.split(x, sizes, axis, num=None if split is None else split.shape[0]))


@_operator
def _SplitToSequence(x: Tensor, split: Tensor | None = None, *, axis: int = 0, keepdims: int = 1) -> Parts:
    if split is not None and split.shape.rank == 1:
        parts = tf.split(x, split, axis, num=split.shape[0])
        return lambda place: parts[place]
    size = 1 if split is None else int(_known(split, "a size"))
    before = (slice(None),) * _axis_of(axis, x.shape.rank)
    if split is None and not keepdims:
        return lambda place: x[(*before, place)]
    return lambda place: x[(*before, slice(place * size, (place + 1) * size))]


@_operator
def _SequenceAt(parts: Parts, place: Tensor) -> Tensor:
    number = int(_known(place, "a part"))
    if number < 0:
        raise UntranslatedError("a part counted from the last one")
    return parts(number)


def _from_front(indices: Tensor, size: Tensor) -> Tensor:
    """Replace negative indices, which count from the end."""
    known = tf.get_static_value(indices)
    if known is not None and np.all(known >= 0):
        return indices
    return tf.where(indices < 0, indices + tf.cast(size, indices.dtype), indices)


@_operator
def _Gather(data: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    return tf.gather(data, _from_front(indices, _shape(data)[axis]), axis=axis)


@_operator
def _GatherND(data: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    sizes = _shape(data)[batch_dims : batch_dims + indices.shape[-1]]
    return tf.gather_nd(data, _from_front(indices, sizes), batch_dims)


def _places(indices: Tensor, axis: int, size: Tensor) -> Tensor:
    """Return the coordinates [..., rank] that an element's index along one axis stands for."""
    shape = _shape(indices)
    grid = [
        tf.range(shape[place])[(...,) + (None,) * (indices.shape.rank - 1 - place)]
        for place in range(indices.shape.rank)
    ]
    grid[axis] = tf.cast(_from_front(indices, size), tf.int64)
    return tf.stack([tf.broadcast_to(each, shape) for each in grid], axis=-1)


@_operator
def _GatherElements(data: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    axis = _axis_of(axis, data.shape.rank)
    return tf.gather_nd(data, _places(indices, axis, _shape(data)[axis]))


@_operator
def _ScatterElements(
    data: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: bytes = b"none"
) -> Tensor:
    axis = _axis_of(axis, data.shape.rank)
    return _ScatterND(data, _places(indices, axis, _shape(data)[axis]), updates, reduction=reduction)


@_operator
def _ScatterND(data: Tensor, indices: Tensor, updates: Tensor, *, reduction: bytes = b"none") -> Tensor:
    functions = {b"none": tf.tensor_scatter_nd_update, b"add": tf.tensor_scatter_nd_add}
    if reduction not in functions:
        raise UntranslatedError(f"scattering by {reduction.decode()}")
    return functions[reduction](data, _from_front(indices, _shape(data)[: indices.shape[-1]]), updates)


@_operator
def _Trilu(x: Tensor, k: Tensor | None = None, *, upper: int = 1) -> Tensor:
    rows, columns = (tf.range(size) for size in tf.unstack(_shape(x)[-2:]))
    over = columns[None] - rows[:, None] - (0 if k is None else tf.reshape(k, []))
    return tf.where(over >= 0 if upper else over <= 0, x, tf.zeros_like(x))
