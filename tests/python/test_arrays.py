"""Arrays: shared with the host without copies, and the part of NumPy that programs have, against NumPy
itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tmebox.python import Python, PythonError, PythonSnapshot


@pytest.fixture(scope="module")
def python() -> Iterator[Python]:
    with Python() as python:
        python.run("import numpy as np\nimport math")
        yield python


DATA = """
a = np.array([3.0, 1.0, -2.0, 4.5, 0.0, 7.25])
b = np.array([1, 2, 3, 4, 5, 6])
f = np.array([0.5, 1.5, 2.5], dtype=np.float32)
u = np.array([250, 3, 7], dtype=np.uint8)
m = np.arange(12).reshape(3, 4)
n = np.linspace(0, 1, 12).reshape(3, 4)
t = np.array([True, False, True, True, False, False])
e = np.zeros((0,))
c = np.arange(24).reshape(2, 3, 4)
w = np.array([1.0, math.nan, 3.0])
"""

EXPRESSIONS = """
a + b; a - 1; 2 * b; a / b; b / 2; b // 2; b % 4; -b % 4; a % 2; b ** 2; a ** 2; 2 ** b; a ** 0.5
1 / a[:2]; 7 - b; u + u
u + 10; f + 1; f * f; f * 2.5; b + f[:1]; f + b[:3]; b & 3; b | 8; b ^ 1; b << 2; b >> 1; ~b; ~t; t & ~t
t | t; -a; abs(a); +a
a > 1; b <= 3; a == 1.0; b != 2; t == True; (a > 0) & (a < 4); m + n; m * 10; m + b[:4]
m + b[:3].reshape(3, 1); m - m.T.T
a[0]; a[-1]; a[1:4]; a[::2]; a[::-1]; a[5:1:-2]; a[10:]; m[1]; m[1, 2]; m[:, 1]; m[1:, ::2]; m[..., 0]
m[:, None, 1]; m[-1, -1]
c[1]; c[:, 1]; c[:, :, 2]; c[0, 1, 2]; c[..., 1]; c[1, ..., 0]; a[t]; b[a > 0]; m[m > 5]; m[[0, 2]]
a[[1, 1, 0]]; m[:, [1, 3]]; m[np.array([True, False, True])]; a[np.argsort(a)]
a.sum(); b.sum(); m.sum(axis=0); m.sum(axis=1); m.sum(0); c.sum(axis=1); t.sum(); u.sum(); f.sum()
n.mean(); m.mean(axis=0); a.mean(); b.mean()
a.min(); a.max(); b.min(); m.max(axis=1); n.min(axis=0); a.argmin(); a.argmax(); m.argmax(axis=0)
w.max(); w.min(); w.argmax(); a.std(); m.std(axis=1); a.var(); a.var(ddof=1); b.prod(); t.any(); t.all()
m.any(axis=0); a.cumsum(); b.cumsum(); b.cumprod()
a.shape; m.shape; e.shape; c.ndim; m.size; m.T; m.T.shape; c.T; m.reshape(2, 6); m.reshape(-1)
m.reshape((4, -1)); m.ravel(); m.T.ravel(); m.flatten(); len(m); m.T.reshape(-1); m.nbytes; a.itemsize
a.astype(np.int64); b.astype(np.float32); a.astype(np.uint8); b.astype(bool); b.astype('float64')
a.tolist(); m.tolist(); a.copy(); b.item(2); a.clip(0, 4); np.clip(a, None, 2)
np.zeros(3); np.ones((2, 2)); np.full(3, 7); np.full((2,), 0.5); np.eye(3); np.arange(5)
np.arange(2, 10, 3); np.arange(0, 1, 0.25); np.arange(5, 0, -2); np.linspace(0, 1, 5)
np.linspace(0, 1, 4, endpoint=False); np.zeros_like(m); np.ones_like(a)
np.sqrt(b); np.exp(f); np.log(b); np.log2(b); np.log10(b); np.sin(a); np.cos(b); np.tan(a); np.arctan(a)
np.tanh(a); np.floor(a); np.ceil(a); np.rint(a); np.round(n, 2); np.sign(a); np.square(b); np.isnan(w)
np.isfinite(w); np.hypot(a, b); np.arctan2(a, b); np.expm1(f); np.log1p(f)
np.minimum(a, b); np.maximum(a, 2); np.where(a > 1, a, 0); np.where(t, a, b); np.where(t)[0]
np.nonzero(b > 3)[0]; np.count_nonzero(t); np.dot(b, b); m @ m.T; m @ b[:4]; n @ n.T; b[:3] @ m
np.dot(a, b); np.outer(b, b)
np.concatenate([a, b]); np.concatenate([m, m], axis=1); np.vstack([b, b]); np.hstack([a, a])
np.stack([b, b]); np.stack([b, b], axis=1); np.diff(a); np.sort(a); np.argsort(b)
np.unique(np.array([3, 1, 3, 2])); np.median(a); np.percentile(a, 25); np.percentile(b, [0, 50, 90])
np.quantile(a, 0.3)
np.histogram(a, bins=4)[0]; np.bincount(b); np.corrcoef(a, b); np.isin(b, [2, 9])
np.allclose(a, a + 1e-12); np.array_equal(a, b); np.expand_dims(a, 0); np.squeeze(m[:1])
np.array([[1, 2], [3.5, 4]]); np.array(range(4)); np.array([a, a]); np.array([]); np.array(5)
np.transpose(m); np.sum(m); np.mean(a); np.max(b); np.std(a); np.any(t); np.cumsum(b); np.prod(f)
np.array([1, 2]).dtype == np.int64; str(np.float64) == 'x'
np.sort(w); np.power(b, 2); np.mod(b, 3); np.greater(a, b); np.pi; np.full_like(a, 3)
np.array([1, 2], dtype=np.float32); np.array(u, dtype=float); sum(a); max(b); sorted(a); 3.0 in a
99 in b; [x for x in m[0]]; bool(a[:1] > 2); int(b[:1][0]); float(np.array([2.5])[0]); np.uint8(300 - 45)
np.float32(0.1)
"""
LINES = [part.strip() for line in EXPRESSIONS.strip().splitlines() for part in line.split(";")]


def plain(value: object) -> object:
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def same(ours: object, theirs: object) -> bool:
    if isinstance(theirs, list | tuple):
        return (
            isinstance(ours, list | tuple)
            and len(ours) == len(theirs)
            and all(same(one, other) for one, other in zip(ours, theirs, strict=True))
        )
    if isinstance(theirs, float):
        if math.isnan(theirs):
            return isinstance(ours, float) and math.isnan(ours)
        return isinstance(ours, float) and math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-12)
    return type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("expression", LINES)
def test_expressions_give_what_numpy_gives(python: Python, expression: str) -> None:
    scope = {"np": np, "math": math}
    with np.errstate(all="ignore"):
        exec(DATA, scope)
        theirs = eval(expression, scope)
    python.run(DATA)
    ours = python.eval(expression)
    if isinstance(theirs, np.ndarray):
        assert isinstance(ours, np.ndarray)
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, (ours.dtype, theirs.dtype)
    assert same(plain(ours), plain(theirs)), (ours, theirs)


STATEMENTS = [
    "a[1] = 9",
    "a[1:3] = 0",
    "a[::2] = b[::2]",
    "m[1] = 5",
    "m[:, 0] = b[:3]",
    "m[0, 0] = 100",
    "a[t] = -1",
    "m[m > 5] = 0",
    "a += 1",
    "b *= 2",
    "m -= m",
    "a /= 2",
    "b[[0, 2]] = 7",
    "a[b > 2] = a[b > 2] * 2",
    "m[:] = m[::-1]",
    "a[1:] = a[:-1]",
    "v = m[1]\nv[0] = 77",
    "u += 10",
    "a.sort()",
    "a.fill(3)",
    "m.T[0] = 8",
    "c[:, 1, :] = 0",
    "c[0] += c[1]",
    "m[[0, 1]] = m[[1, 0]]",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statements_change_what_numpy_changes(python: Python, statement: str) -> None:
    scope: dict[str, object] = {"np": np, "math": math}
    exec(DATA + statement, scope)
    python.run(DATA + statement)
    for name in "abmuc":
        assert same(plain(python[name]), plain(scope[name])), name


@pytest.mark.parametrize(
    "source",
    [
        "a[99]",
        "m[3]",
        "m[0, 0, 0]",
        "a['x']",
        "a + b[:2]",
        "np.array([[1], [1, 2]])",
        "np.array(['x'])",
        "np.zeros(-1)",
        "np.zeros((1,) * 9)",
        "np.zeros(10 ** 12)",
        "np.zeros((10 ** 6, 10 ** 6, 10 ** 6))",
        "bool(a)",
        "b += 0.5",
        "a.reshape(5)",
        "b ** -1",
        "e.max()",
        "a @ m",
        "a[[99]]",
        "a[t[:3]]",
        "len(np.array(5))",
        "np.zeros(3, dtype='complex')",
        "a[1:2] = [1, 2]",
        "m.sum(axis=5)",
        "a & 1",
        "np.concatenate([])",
        "np.array([1, 2]) < 'x'",
        "m[[0], [1]]",
    ],
)
def test_what_cannot_be_is_an_exception(python: Python, source: str) -> None:
    python.run(DATA)
    with pytest.raises(PythonError):
        python.run(source)
    assert python.eval("1 + 1") == 2


def test_an_array_of_the_hosts_is_shared() -> None:
    with Python() as python:
        shared = python.array((3, 4), np.float32)
        shared[:] = np.arange(12).reshape(3, 4)
        python["x"] = shared
        python.run("import numpy as np\nx[1, :] *= 10\ntotal = float(x.sum())")
        assert shared[1].tolist() == [40, 50, 60, 70]
        assert python["total"] == float(shared.sum())
        shared[0, 0] = 99
        assert python.eval("float(x[0, 0])") == 99
        back = python.eval("x[:, 1::2]")
        assert np.shares_memory(back, shared) and back.tolist() == shared[:, 1::2].tolist()
        python["y"] = shared[::-1, 2]
        python.run("y[0] = -5")
        assert shared[2, 2] == -5


def test_host_functions_get_and_give_shared_arrays() -> None:
    seen: list[np.ndarray] = []

    def give() -> np.ndarray:
        return shared

    with Python(functions={"give": give, "take": seen.append}) as python:
        shared = python.array(4, np.int64)
        python.run("a = give()\na[2] = 7\ntake(a[1:])")
        assert shared.tolist() == [0, 0, 7, 0]
        assert np.shares_memory(seen[0], shared)


@pytest.mark.parametrize("code", "?bBhHiIqQfd")
def test_every_type_crosses_both_ways(code: str) -> None:
    with Python() as python:
        given = np.array([0, 1, 100, 1]).astype(code)
        python["x"] = given
        assert python["x"].dtype == given.dtype and python["x"].tolist() == given.tolist()
        shared = python.array(4, code)
        shared[:] = given
        python["x"] = shared
        assert python.eval("x").tolist() == given.tolist()
        assert python.eval("x + x").tolist() == (given + given).tolist()


@pytest.mark.parametrize(
    "given",
    [np.zeros(2, complex), np.array(["a"]), np.zeros(2, ">i4"), np.zeros((1,) * 5), np.zeros(1, object)],
)
def test_other_arrays_stay_outside(given: object) -> None:
    with Python() as python, pytest.raises(TypeError):
        python["x"] = given


def test_numpys_numbers_are_numbers() -> None:
    with Python() as python:
        python.update({"a": np.float64(1.5), "b": np.int32(7), "c": np.bool_(True)})
        assert (python["a"], python["b"], python["c"]) == (1.5, 7, True)


def test_a_snapshot_leaves_the_hosts_arrays_behind() -> None:
    with Python() as python:
        python["x"] = python.array(3)
        python.run("own = x + 1")
        snapshot = python.snapshot()
    with snapshot.spawn() as other:
        assert other["own"].tolist() == [1, 1, 1]
        for source in (
            "x[0]",
            "x + 1",
            "x.sum()",
            "x[:] = 0",
            "repr(x)",
            "for i in x: pass",
            "-x",
            "x",
            "x.T.copy()",
        ):
            with pytest.raises(PythonError, match="did not come along"):
                other.eval(source) if "=" not in source and "for" not in source else other.run(source)


def test_a_snapshot_leaves_them_behind_in_other_processes_as_well() -> None:
    """Where as many interpreters may have been made before as in the one that it comes from."""

    def kept() -> bytes:
        with Python() as python:
            python["x"] = python.array(3)
            return python.snapshot().to_bytes()

    def elsewhere() -> str:
        with PythonSnapshot.from_bytes(data).spawn() as other:
            other["y"] = other.array(3)
            with pytest.raises(PythonError) as refused:
                other.eval("x + 1")
            return str(refused.value)

    data = run_forked(kept).result()
    assert "did not come along" in run_forked(elsewhere).result()


def test_work_on_arrays_counts_and_can_be_interrupted() -> None:
    with Python(instructions=50_000) as python:
        python.run("import numpy as np")
        python.run("a = np.zeros(80000)\na += 1")
        assert 10_000 < python.instructions < 50_000
        with pytest.raises(tmebox.LimitError):
            python.run("a += 1\na += 1\na += 1\na += 1\na += 1\na += 1")


def test_a_million_elements_are_summed_without_a_copy() -> None:
    with Python() as python:
        shared = python.array(1_000_000)
        shared[:] = 1.5
        python["x"] = shared
        assert python.eval("x.sum()") == 1_500_000.0
