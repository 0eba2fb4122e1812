"""The tenth of NumPy that data code uses most, over the module `_array`, which is in C."""

import math
import _array
from _array import (
    ndarray, frombuffer, sum, prod, mean, any, all, min, max, argmin, argmax, var, std, cumsum, cumprod, ravel, copy,
    transpose, argsort, sort, dot, reshape, bool_, int8, uint8, int16, uint16, int32, uint32, int64, uint64,
    float32, float64,
)  # fmt: skip

pi, e, inf, nan, newaxis = math.pi, math.e, math.inf, math.nan, None
amin, amax, matmul, float_, int_, NaN = min, max, dot, float64, int64, nan

_TWO = (
    "add subtract multiply divide floor_divide mod power bitwise_and bitwise_or bitwise_xor left_shift right_shift "
    "minimum maximum arctan2 hypot less less_equal greater greater_equal equal not_equal"
).split()
_ONE = (
    "negative absolute invert square sign sqrt exp log log2 log10 log1p expm1 sin cos tan arcsin arccos arctan sinh "
    "cosh tanh floor ceil trunc rint isnan isfinite isinf"
).split()


def _two(number):
    return lambda left, right: _array.apply(number, left, right)


def _one(number):
    return lambda value: _array.map(number, value)


for _number, _name in enumerate(_TWO):
    globals()[_name] = _two(_number)
for _number, _name in enumerate(_ONE):
    globals()[_name] = _one(_number)
abs, true_divide, remainder = absolute, divide, mod  # noqa: F821


def array(value, dtype=None):
    return _array.from_(value, dtype)


def asarray(value, dtype=None):
    if isinstance(value, ndarray) and (dtype is None or value.dtype == dtype):
        return value
    return _array.from_(value, dtype)


def zeros(shape, dtype=float64):
    return _array.new(shape, dtype)


empty = zeros


def full(shape, value, dtype=None):
    made = _array.new(shape, array(value).dtype if dtype is None else dtype)
    made.fill(value)
    return made


def ones(shape, dtype=float64):
    return full(shape, 1, dtype)


def zeros_like(other, dtype=None):
    return zeros(other.shape, dtype or other.dtype)


def ones_like(other, dtype=None):
    return ones(other.shape, dtype or other.dtype)


def full_like(other, value, dtype=None):
    return full(other.shape, value, dtype or other.dtype)


empty_like = zeros_like


def eye(count, dtype=float64):
    made = zeros((count, count), dtype)
    for i in range(count):
        made[i, i] = 1
    return made


def arange(start, stop=None, step=1, dtype=None):
    if stop is None:
        start, stop = 0, start
    whole = isinstance(start, int) and isinstance(stop, int) and isinstance(step, int)
    if dtype is None:
        dtype = int64 if whole else float64
    return _array.ramp(start, step, -((start - stop) // step) if whole else math.ceil((stop - start) / step), dtype)


def linspace(start, stop, num=50, endpoint=True):
    return _array.ramp(float(start), (stop - start) / (num - 1 if endpoint and num > 1 else num), num, float64)


def where(condition, yes=None, no=None):
    if yes is None:
        condition = asarray(condition)
        if condition.ndim != 1:
            raise ValueError("places are of arrays with one dimension")
        return (_array.nonzero(condition),)
    return _array.where(condition, yes, no)


def nonzero(value):
    return where(value)


def flatnonzero(value):
    return _array.nonzero(value)


def count_nonzero(value):
    return int(sum(asarray(value) != 0))


def clip(value, low=None, high=None):
    return _array.clip(value, low, high)


def round(value, decimals=0):
    if decimals == 0:
        return rint(value)  # noqa: F821
    factor = 10.0**decimals
    return rint(asarray(value) * factor) / factor  # noqa: F821


around = round


def concatenate(parts, axis=0):
    parts = [asarray(part) for part in parts]
    first = parts[0]
    length = 0
    dtype = first.dtype
    for part in parts:
        length += part.shape[axis]
        dtype = (zeros(1, dtype) + zeros(1, part.dtype)).dtype
    shape = list(first.shape)
    axis = axis % len(shape)
    shape[axis] = length
    made = zeros(tuple(shape), dtype)
    at = 0
    for part in parts:
        end = at + part.shape[axis]
        _array.part(made, axis, at, end)[...] = part
        at = end
    return made


def stack(parts, axis=0):
    return concatenate([expand_dims(asarray(part), axis) for part in parts], axis)


def vstack(parts):
    return concatenate([part if part.ndim > 1 else part.reshape(1, -1) for part in map(asarray, parts)])


def hstack(parts):
    parts = [asarray(part) for part in parts]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1)


column_stack = lambda parts: stack(parts, 1)  # noqa: E731


def expand_dims(value, axis):
    shape = list(value.shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    return value.reshape(tuple(shape))


def squeeze(value):
    return value.reshape(tuple(length for length in value.shape if length != 1))


def diff(value):
    value = asarray(value)
    return value[1:] - value[:-1]


def outer(left, right):
    return asarray(left).reshape(-1, 1) * asarray(right).reshape(1, -1)


def unique(value, return_counts=False):
    ordered = sort(ravel(asarray(value)))
    if not ordered.size:
        return (ordered, zeros(0, int64)) if return_counts else ordered
    new = concatenate([array([True]), ordered[1:] != ordered[:-1]])
    if not return_counts:
        return ordered[new]
    places = concatenate([_array.nonzero(new), array([ordered.size])])
    return ordered[new], diff(places)


def bincount(value, minlength=0):
    counts = zeros(builtin_max(int(max(value)) + 1, minlength), int64)
    for number in value:
        counts[number] += 1
    return counts


def percentile(value, q):
    ordered = sort(ravel(asarray(value)))
    if isinstance(q, (list, tuple, ndarray)):
        return array([_quantile(ordered, one / 100) for one in q])
    return _quantile(ordered, q / 100)


def quantile(value, q):
    return percentile(value, [one * 100 for one in q] if isinstance(q, (list, tuple)) else q * 100)


def _quantile(ordered, q):
    place = q * (ordered.size - 1)
    low = int(place)
    high = low + 1 if low + 1 < ordered.size else low
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def median(value):
    return percentile(value, 50)


def histogram(value, bins=10):
    value = ravel(asarray(value))
    low, high = float(min(value)), float(max(value))
    edges = linspace(low, high if high > low else low + 1, bins + 1)
    counts = [int(sum((value >= edges[i]) & (value < edges[i + 1]))) for i in range(bins)]
    counts[-1] += int(sum(value == edges[-1]))
    return array(counts), edges


def corrcoef(left, right):
    left, right = asarray(left) - mean(left), asarray(right) - mean(right)
    r = float(sum(left * right)) / math.sqrt(float(sum(left * left)) * float(sum(right * right)))
    return array([[1.0, r], [r, 1.0]])


def isin(value, wanted):
    value = asarray(value)
    found = zeros(value.shape, bool_)
    for one in wanted:
        found = found | (value == one)
    return found


def allclose(left, right, rtol=1e-05, atol=1e-08):
    return bool(all(absolute(asarray(left) - right) <= atol + rtol * absolute(right)))  # noqa: F821


def array_equal(left, right):
    left, right = asarray(left), asarray(right)
    return left.shape == right.shape and bool(all(left == right))



import builtins  # noqa: E402

builtin_max = builtins.max
