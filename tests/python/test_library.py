"""The modules in Python that the guest brings, against CPython's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tmebox.python import Python, PythonError


@pytest.fixture(scope="module")
def python() -> Iterator[Python]:
    with Python() as python:
        python.run(IMPORTS)
        yield python


IMPORTS = """
import functools, itertools, statistics, typing
from collections import Counter, defaultdict, namedtuple, deque, OrderedDict
"""

EXPRESSIONS = """
list(itertools.islice(itertools.count(3, 2), 4))
list(itertools.islice('abcdefg', 2, None, 2))
list(itertools.islice(range(10), 2, 8, 3))
list(itertools.islice(itertools.cycle([1, 2]), 5))
list(itertools.repeat('x', 3))
list(itertools.chain([1], (2, 3), 'ab'))
list(itertools.accumulate([1, 2, 3, 4]))
list(itertools.accumulate([1, 2, 3], lambda a, b: a * b, initial=10))
list(itertools.takewhile(lambda x: x < 3, [1, 2, 3, 1]))
list(itertools.dropwhile(lambda x: x < 3, [1, 2, 3, 1]))
list(itertools.filterfalse(lambda x: x % 2, range(6)))
list(itertools.starmap(pow, [(2, 3), (3, 2)]))
list(itertools.compress('abc', [1, 0, 1]))
list(itertools.pairwise([1, 2, 3]))
list(itertools.pairwise([]))
list(itertools.zip_longest([1, 2], 'a', fillvalue=0))
[(k, list(g)) for k, g in itertools.groupby('aabbba')]
[(k, list(g)) for k, g in itertools.groupby([1, 3, 2, 4], key=lambda x: x % 2)]
list(itertools.product([1, 2], 'ab'))
list(itertools.product([0, 1], repeat=2))
list(itertools.permutations([1, 2, 3], 2))
list(itertools.permutations('ab'))
list(itertools.combinations('abcd', 2))
functools.reduce(lambda a, b: a + b, [1, 2, 3])
functools.reduce(lambda a, b: a + b, [], 7)
functools.partial(pow, 2)(5)
functools.partial(sorted, reverse=True)([1, 3, 2])
functools.lru_cache(maxsize=None)(lambda x: x * 2)(4)
functools.cache(lambda x: x * 2)(4)
sorted([3, 1, 2], key=functools.cmp_to_key(lambda a, b: b - a))
statistics.mean([1, 2, 3, 4])
statistics.median([3, 1, 2])
statistics.median([4, 1, 2, 3])
statistics.mode([1, 2, 2, 3])
statistics.variance([1, 2, 3, 4])
statistics.pvariance([1, 2, 3, 4])
statistics.stdev([1, 2, 3, 4])
Counter('abracadabra').most_common(1)
sorted(Counter('abca').items())
Counter([1, 1, 2])[5]
sum(Counter('aab').values())
sorted(Counter('aab').elements())
Counter('aab')
OrderedDict([('b', 1), ('a', 2)])
typing.cast(int, 5)
"""


@pytest.mark.parametrize("expression", EXPRESSIONS.strip().splitlines())
def test_expressions_give_what_cpython_gives(python: Python, expression: str) -> None:
    scope: dict[str, Any] = {}
    exec(IMPORTS, scope)
    theirs = eval(expression, scope)
    assert python.eval(expression) == theirs


def test_a_defaultdict_makes_what_is_missing(python: Python) -> None:
    python.run("d = defaultdict(list)\nd['a'].append(1)\nd['a'].append(2)\nd['b']")
    assert python["d"] == {"a": [1, 2], "b": []}
    with pytest.raises(PythonError, match="KeyError"):
        python.run("defaultdict()['x']")


def test_annotations_may_be_written(python: Python) -> None:
    source = "from typing import Dict, List, Optional\n"
    source += "def f(x: Optional[List[int]]) -> Dict[str, int]:\n    return {'n': len(x)}\n"
    assert python.run(source + "f([1, 2])") == {"n": 2}


def test_records_have_named_fields(python: Python) -> None:
    python.run(
        "from dataclasses import dataclass, asdict, astuple, replace, make_dataclass\n"
        "@dataclass('x', 'y', z=0)\nclass P:\n    def norm(self): return self.x + self.y + self.z\n"
        "p = P(1, y=2)"
    )
    assert python.run("repr(p), p.norm(), p == P(1, 2), p != P(1, 3)") == ("P(x=1, y=2, z=0)", 3, True, True)
    assert python.run("astuple(replace(p, z=9)), sorted(asdict(p))") == ((1, 2, 9), ["x", "y", "z"])
    assert python.run("make_dataclass('Q', ['a'])(5).a") == 5
    for source in ("P()", "P(1, 2, 3, 4)", "P(1, 2, w=3)", "@dataclass\nclass R:\n    x: int"):
        with pytest.raises(PythonError, match="TypeError"):
            python.run(source)
