"""Snapshots that somebody without scruples has made, with every field that a module of that form cannot have.

Each is refused, or makes a sandbox that is confined, also when its calls last longer than a turn."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tmebox import Sandbox, Snapshot, _native, abi
from tmebox.abi import Base
from tmebox.modulefile.snapshot import SnapshotFile, Threads
from tmebox.toolchain.compile.gcc import gcc

KEY = bytes(32)
PAGE = abi.PAGE_SIZE
SLICE_NS = 50_000
GUEST = """
long work(long n) { volatile long sum = 0; for (long i = 0; i < n; i++) sum += i; return sum; }
"""
THREADS = """
#include <pthread.h>
#include <semaphore.h>
static sem_t wanted, done;
static pthread_t threads[3];
static void *waits(void *x) { for (;;) { sem_wait(&wanted); sem_post(&done); } return x; }
int start(void) {
  sem_init(&wanted, 0, 0);
  sem_init(&done, 0, 0);
  for (int i = 0; i < 3; i++) if (pthread_create(&threads[i], 0, waits, 0)) return 1;
  sem_post(&wanted);
  sem_wait(&done);
  return 0;
}
"""
FORMS = {
    "twin": {},
    "twin, large": {"memory": "1536MiB", "stack": "1GiB"},
    "gs": {"isolation": "data"},
    "r15": {"base": "r15"},
    "r15, data": {"base": "r15", "isolation": "data"},
}


def module_of(form: dict[str, Any]) -> tmebox.Module:
    base: Base = form.get("base", "gs")
    if base == "r15":
        try:
            gcc()
        except tmebox.CompileError as error:
            pytest.skip(str(error))
    isolation = form.get("isolation", "code+data")
    trusts = isolation == "data"
    return tmebox.compile(source_text=GUEST, base=base, isolation=isolation, trust_compiler=trusts)


@functools.cache
def others() -> tmebox.Module:
    return tmebox.compile(source_text=THREADS)


def standing() -> Threads:
    """Threads of others, whose text stays: the keeper of turns has not begun yet, the others wait."""
    with Sandbox(others()) as sandbox:
        assert sandbox.start() == 0
        threads = SnapshotFile.from_bytes(sandbox.snapshot().to_bytes()).threads
    assert len(threads) == 4 and None not in threads
    assert min(len(row[2]) for row in threads if row) < 64
    return threads


def moved(threads: Threads, by: int) -> Threads:
    return tuple(row and (row[0] + by, row[1] + by, row[2]) for row in threads)


def forged(good: SnapshotFile, threads: Threads) -> Iterator[dict[str, Any]]:
    """Changes of one field."""
    yield {"threads": threads}
    for row in threads:
        yield {"threads": (row,)}
        yield {"threads": (None, row)}
        yield {"threads": (None,) * (abi.MOST_FIBERS - 1) + (row,)}
    for by in (-abi.STACK_LOWEST, 8, PAGE, abi.GIB, abi.SHARED_START, abi.SHARED_END, 1 << 40):
        yield {"threads": moved(threads, by)}
    yield {"threads": (None,)}
    yield {"threads": ((abi.STACK_LOWEST, abi.STACK_TOP, b""),)}
    yield {"threads": ((abi.STACK_LOWEST, abi.STACK_TOP, bytes(64)),)}
    for size in (0, PAGE, abi.MIB, good.memory_bytes * 2, abi.GIB, abi.PRIVATE_END, abi.SHARED_END):
        yield {"memory_bytes": size}
        yield {"stack_bytes": size}
    for address in (0, abi.CODE_BASE, good.address - abi.TEXT_ALIGN, abi.GATE_BASE - abi.TEXT_ALIGN):
        yield {"address": address}
    noise = b"\xcc" * PAGE
    for offset in range(0, abi.SHARED_END, 64 * abi.MIB):
        yield {"pages": ((offset, noise),)}
    for offset in (abi.STACK_LOWEST, abi.STACK_TOP - PAGE, abi.CONTROL_PAGE, abi.IMAGE_START,
                   abi.PRIVATE_END - PAGE, abi.ARENA_START, abi.SHARED_END - PAGE):  # fmt: skip
        yield {"pages": ((offset, noise),)}


def outcome(data: bytes, module: tmebox.Module, key: bytes | None) -> str:
    try:
        snapshot = Snapshot.from_bytes(data, module, key=key, memory=abi.SHARED_END, stack=abi.SHARED_END)
    except (tmebox.SnapshotError, tmebox.LimitError):
        return "refused"
    try:
        with Sandbox(snapshot, timeout=0.5) as sandbox:
            for _ in range(2):
                try:
                    sandbox.work(3_000_000)
                except tmebox.Trap:
                    return "trapped"
                finally:
                    sandbox.reset()
    except tmebox.LimitError:
        return "limited"
    return "ran"


@pytest.mark.parametrize("name", FORMS)
def test_no_field_of_a_snapshot_harms_the_host_whatever_the_modules_form(name: str) -> None:
    form = FORMS[name]
    sizes: Any = {option: form[option] for option in ("memory", "stack") if option in form}
    module, threads = module_of(form), standing()
    key = KEY if form.get("isolation") == "data" else None
    with Sandbox(module, **sizes) as sandbox:
        right = sandbox.snapshot().to_bytes(key=key)
    good = SnapshotFile.from_bytes(right, key=key)

    def play() -> tuple[Counter[str], Counter[str]]:
        _native.set_slice(SLICE_NS)
        ends, of_threads = Counter[str](), Counter[str]()
        for change in forged(good, threads):
            ending = outcome(dataclasses.replace(good, **change).to_bytes(key=key), module, key)
            (of_threads if "threads" in change else ends)[ending] += 1
        return ends, of_threads

    assert outcome(right, module, key) == "ran"
    ends, of_threads = run_forked(play, timeout_s=120).result()
    assert ends["refused"] > 20 and ends["ran"] > 2, ends
    if module.has_control:
        assert of_threads["refused"] > 2 and of_threads["ran"] > 4, of_threads
    else:
        assert set(of_threads) == {"refused"}, of_threads


def test_the_core_begins_no_threads_where_it_has_no_control_stacks() -> None:
    module, threads = module_of({"isolation": "data"}), standing()
    with Sandbox(module) as sandbox:
        for rows in (threads, threads[:1], (None,)):
            with pytest.raises(ValueError, match="control stacks"):
                sandbox._tenancy.instance.begin_threads(rows)
        assert sandbox.work(10) == 45
