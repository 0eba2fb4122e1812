"""A state machine against a model of bytes: sandboxes on threads of their own, blocks that change hands."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tmebox
from tests.heap.test_guest import GUEST_C
from tmebox import abi

MODULE_C = (
    GUEST_C
    + r"""
void paint(unsigned char *p, unsigned long start, unsigned long size, int value)
{
    for (unsigned long i = start; i < start + size; i++)
        p[i] = (unsigned char)(value + i);
}
unsigned long hash(const unsigned char *p, unsigned long size)
{
    unsigned long all = 7;
    for (unsigned long i = 0; i < size; i++)
        all = all * 31 + p[i];
    return all;
}
"""
)
SANDBOXES = 3
SIZES = st.sampled_from([1, 64, 65, 200, 1000, 4032, 4096, 9000])
_compiled: list[tmebox.Module] = []


def module() -> tmebox.Module:
    if not _compiled:
        _compiled.append(tmebox.compile(source_text=MODULE_C))
    return _compiled[0]


def hashed(data: bytes) -> int:
    result = 7
    for byte in data:
        result = (result * 31 + byte) & (1 << 64) - 1
    return result


@dataclass
class Modelled:
    """A block that the host ends, or that code made at an offset; what it holds, and who owns it (-1: the
    host)."""

    block: tmebox.Block | None
    made_at: int
    data: bytearray
    owner: int

    @property
    def offset(self) -> int:
        return self.made_at if self.block is None else self.block.offset


class SharedMemory(RuleBasedStateMachine):
    options: ClassVar[dict[str, Any]] = {}

    @initialize(placement=st.sampled_from(["pages", "dense"]))
    def begin(self, placement: Any) -> None:
        self.heap = tmebox.SharedHeap("2MiB", placement=placement, **self.options)
        self.sandboxes = [tmebox.Sandbox(module(), heap=self.heap, timeout=20) for _ in range(SANDBOXES)]
        self.threads = [ThreadPoolExecutor(1) for _ in range(SANDBOXES)]
        self.blocks: list[Modelled] = []
        for a in self.sandboxes:
            for b in self.sandboxes:
                if a is not b:
                    self.heap.allow(a, to=b)

    def teardown(self) -> None:
        if hasattr(self, "heap"):
            for sandbox, thread in zip(self.sandboxes, self.threads, strict=True):
                thread.submit(sandbox.close).result()
                thread.shutdown()
            self.blocks.clear()
            assert self.heap.stats().block_bytes == 0
            self.heap.close()

    def on(self, index: int, name: str, *arguments: Any) -> Future[Any]:
        return self.threads[index].submit(getattr(self.sandboxes[index], name), *arguments)

    def chosen(self, number: int) -> Modelled:
        return self.blocks[number % len(self.blocks)]

    @rule(size=SIZES, owner=st.integers(-1, SANDBOXES - 1), dense=st.booleans(), movable=st.booleans())
    def allocate(self, size: int, owner: int, dense: bool, movable: bool) -> None:
        sandbox = None if owner < 0 else self.sandboxes[owner]
        try:
            block = self.heap.allocate(
                size, sandbox, placement="dense" if dense else "pages", movable=movable
            )
        except tmebox.LimitError:
            return
        self.blocks.append(Modelled(block, 0, bytearray(size), owner))

    @rule(size=SIZES, owner=st.integers(0, SANDBOXES - 1))
    def code_allocates(self, size: int, owner: int) -> None:
        offset = self.on(owner, "alloc", size).result()
        if offset:
            self.blocks.append(Modelled(None, offset, bytearray(size), owner))

    @precondition(lambda self: self.blocks)
    @rule(number=st.integers(0, 1000))
    def end(self, number: int) -> None:
        one = self.blocks.pop(number % len(self.blocks))
        if one.block is not None:
            self.heap.free(one.block)
        else:
            assert self.on(one.owner, "release", one.made_at).result() == 0

    @precondition(lambda self: self.blocks)
    @rule(number=st.integers(0, 1000), to=st.integers(-1, SANDBOXES - 1))
    def transfer(self, number: int, to: int) -> None:
        one = self.chosen(number)
        if one.block is None:
            if to < 0:
                return
            key = self.sandboxes[to].key_id
            assert self.on(one.owner, "give", one.made_at, key).result() == 0
        elif to < 0:
            self.heap.revoke(one.block)
        else:
            self.heap.transfer(one.block, to=self.sandboxes[to])
        one.owner = to

    @precondition(lambda self: self.blocks)
    @rule(value=st.integers(0, 255), start=st.integers(0, 9000), size=st.integers(1, 300))
    def all_owners_write_at_once(self, value: int, start: int, size: int) -> None:
        running = []
        for one in self.blocks:
            begin = start % len(one.data)
            count = min(size, len(one.data) - begin)
            one.data[begin : begin + count] = bytes((value + i) & 255 for i in range(begin, begin + count))
            if one.owner >= 0:
                running.append(self.on(one.owner, "paint", one.offset, begin, count, value))
            else:
                assert one.block is not None
                one.block.write(one.data[begin : begin + count], begin)
        for future in running:
            future.result()

    @precondition(lambda self: self.blocks)
    @rule(number=st.integers(0, 1000), by=st.integers(0, SANDBOXES - 1), at=st.integers(0, 9000))
    def somebody_else_is_stopped(self, number: int, by: int, at: int) -> None:
        one = self.chosen(number)
        if one.owner == by:
            return
        offset = one.offset + at % len(one.data)
        try:
            self.on(by, "paint", offset, 0, 1, 1).result()
        except tmebox.IntegrityViolation as stopped:
            assert stopped.offset == offset
            assert stopped.owner_key_id == (0 if one.owner < 0 else self.sandboxes[one.owner].key_id)
        else:
            raise AssertionError("a foreign write was done")
        self.threads[by].submit(self.sandboxes[by].reset).result()
        self.blocks = [b for b in self.blocks if b.block is not None or b.owner != by]

    @rule()
    def compact(self) -> None:
        self.heap.compact()

    @rule(index=st.integers(0, SANDBOXES - 1))
    def close_and_begin_again(self, index: int) -> None:
        self.threads[index].submit(self.sandboxes[index].close).result()
        self.blocks = [b for b in self.blocks if b.block is not None or b.owner != index]
        for one in self.blocks:
            one.owner = -1 if one.owner == index else one.owner
        self.sandboxes[index] = tmebox.Sandbox(module(), heap=self.heap, timeout=20)
        for other in range(SANDBOXES):
            if other != index:
                self.heap.allow(self.sandboxes[index], to=self.sandboxes[other])
                self.heap.allow(self.sandboxes[other], to=self.sandboxes[index])

    @invariant()
    def every_owner_reads_what_the_model_has(self) -> None:
        if not hasattr(self, "heap"):
            return
        running = []
        for one in self.blocks:
            if one.block is not None:
                assert one.block.read() == bytes(one.data)
                assert one.block.owner is (None if one.owner < 0 else self.sandboxes[one.owner])
            if one.owner >= 0:
                running.append((one, self.on(one.owner, "hash", one.offset, len(one.data))))
        for one, future in running:
            assert future.result() == hashed(bytes(one.data))

    @invariant()
    def blocks_are_apart(self) -> None:
        places = sorted((one.offset, len(one.data)) for one in getattr(self, "blocks", ()))
        end = abi.SHARED_START
        for offset, size in places:
            assert offset >= end
            end = offset + -(-size // abi.SHARED_LINE) * abi.SHARED_LINE


class WithoutViews(SharedMemory):
    options: ClassVar[dict[str, Any]] = {"views": False}


class Encrypted(SharedMemory):
    options: ClassVar[dict[str, Any]] = {"backend": "model"}

    @rule()
    def flush(self) -> None:
        self.heap.flush()


class EncryptedWithoutViews(Encrypted):
    options: ClassVar[dict[str, Any]] = {"backend": "model", "views": False}


QUICK = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSharedMemory = SharedMemory.TestCase
TestSharedMemory.settings = QUICK
TestWithoutViews = WithoutViews.TestCase
TestWithoutViews.settings = settings(QUICK, max_examples=4)
TestEncrypted = Encrypted.TestCase
TestEncrypted.settings = settings(QUICK, max_examples=6)
TestEncryptedWithoutViews = EncryptedWithoutViews.TestCase
TestEncryptedWithoutViews.settings = settings(QUICK, max_examples=4)
