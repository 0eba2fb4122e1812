"""A module whose functions touch memory in every simple way, and heaps with sandboxes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import tmebox

TOUCH_C = r"""
unsigned char peek(const volatile unsigned char *p) { return *p; }
void poke(volatile unsigned char *p, unsigned char value) { *p = value; }
unsigned long peek8(const volatile unsigned long *p) { return *p; }
void poke8(volatile unsigned long *p, unsigned long value) { *p = value; }

void fill(unsigned char *p, unsigned long size, int value)
{
    for (unsigned long i = 0; i < size; i++)
        p[i] = (unsigned char)value;
}
unsigned long sum(const unsigned char *p, unsigned long size)
{
    unsigned long all = 0;
    for (unsigned long i = 0; i < size; i++)
        all += p[i];
    return all;
}
"""

RUNNER_C = r"""
/* Writes ever larger numbers to all lines, for ever. */
void write_on(volatile unsigned long *p, unsigned long lines)
{
    for (unsigned long i = 1;; i++)
        p[i % lines * 8] = i;
}
unsigned long read_on(const volatile unsigned long *p)
{
    for (unsigned long i = 1;; i++)
        if (p[i % 8] == ~0UL)
            return i;
}
"""

Sandboxes = Callable[..., tuple[tmebox.Sandbox, ...]]


@pytest.fixture(scope="session")
def touching() -> tmebox.Module:
    return tmebox.compile(source_text=TOUCH_C)


@pytest.fixture(scope="session")
def running() -> tmebox.Module:
    return tmebox.compile(source_text=RUNNER_C)


WAYS: dict[str, dict[str, Any]] = {
    "views": {},
    "no-views": {"views": False},
    "model": {"backend": "model"},
    "model-no-views": {"backend": "model", "views": False},
}
"""How sandboxes come to a heap's lines: pages that are shown where they can be, or every access done on the
side; and both in the memory of a machine with TME-MK."""


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def heap(request: pytest.FixtureRequest) -> Iterator[tmebox.SharedHeap]:
    with tmebox.SharedHeap("64MiB", **request.param) as heap:
        yield heap


@pytest.fixture
def sandboxes(touching: tmebox.Module, heap: tmebox.SharedHeap) -> Iterator[Sandboxes]:
    """`sandboxes(2)`: so many of the heap, closed in the end. Options are those of Sandbox."""
    with ExitStack() as stack:

        def make(count: int, **options: Any) -> tuple[tmebox.Sandbox, ...]:
            made = [tmebox.Sandbox(touching, **{"heap": heap, **options}) for _ in range(count)]
            return tuple(stack.enter_context(sandbox) for sandbox in made)

        yield make


def violation(function: Callable[..., Any], *arguments: Any) -> tmebox.IntegrityViolation:
    """What a call stops with; the sandbox can be called again afterwards."""
    with pytest.raises(tmebox.IntegrityViolation) as caught:
        function(*arguments)
    return caught.value
