"""Random use of a heap by three sandboxes and the host, and after each step somebody looks at lines that may
not be theirs. What anybody finds anywhere is zero, or was theirs to see before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import tmebox
from tests.heap.conftest import WAYS
from tests.heap.test_guest import GUEST_C
from tmebox import abi

PAGE, LINE, START = abi.PAGE_SIZE, abi.SHARED_LINE, abi.SHARED_START
LINES = PAGE // LINE
HOST = -1
STEPS = 600
MODULE_C = (
    GUEST_C
    + """
/* A line holds eight times the same, if it was written by these. */
unsigned long look(const volatile unsigned long *p)
{
    unsigned long first = p[0];
    for (int i = 1; i < 8; i++)
        if (p[i] != first)
            return ~0UL;
    return first;
}
void mark(volatile unsigned long *p, unsigned long tag)
{
    for (int i = 0; i < 8; i++)
        p[i] = tag;
}
"""
)


@dataclass(eq=False)
class Mine:
    """A block, by who ends it: the host (then there is `block`, or `array`), or code (then neither)."""

    offset_then: int
    lines: int
    owner: int
    block: tmebox.Block | None = None
    array: Any = None
    members: dict[int, str] = field(default_factory=dict)
    movable: bool = False
    handle: int = 0  # of code's
    tags: list[int] = field(default_factory=list)

    @property
    def offset(self) -> int:
        return self.block.offset if self.block is not None else self.offset_then

    def may(self, who: int, writes: bool) -> bool:
        if self.members:
            return self.members.get(who, "") in (("rw",) if writes else ("r", "rw"))
        return self.owner == who


class World:
    def __init__(self, module: tmebox.Module, seed: int, way: dict[str, Any]) -> None:
        self.module, self.chosen = module, random.Random(seed)
        self.heap = tmebox.SharedHeap(48 * PAGE, placement=("pages", "dense")[seed % 2], **way)
        self.boxes = [tmebox.Sandbox(module, heap=self.heap, timeout=20) for _ in range(3)]
        self.known: list[set[int]] = [set() for _ in self.boxes]
        self.blocks: list[Mine] = []
        self.tag = 0
        self.permit()

    def permit(self) -> None:
        for a in self.boxes:
            for b in self.boxes:
                if a is not b:
                    self.heap.allow(a, to=b)

    # -- what is true ------------------------------------------------------------------------------
    def at(self, offset: int) -> tuple[Mine | None, int]:
        for one in self.blocks:
            line = (offset - one.offset) // LINE
            if 0 <= line < one.lines:
                return one, line
        return None, 0

    def learns(self, one: Mine, who: int) -> None:
        if who != HOST:
            self.known[who].update(one.tags)

    def forget_made_by(self, who: int) -> None:
        self.blocks = [b for b in self.blocks if b.block is not None or b.array is not None or b.owner != who]

    def slack_of(self, page: int) -> set[int]:
        """Who owns something in the page: one alone has its free lines. Whole pages have none."""
        found = set()
        for one in self.blocks:
            if one.offset // PAGE <= page < (one.offset + one.lines * LINE + PAGE - 1) // PAGE:
                found |= {one.owner} if not one.members else {HOST, 99}
        return found

    # -- steps -------------------------------------------------------------------------------------
    def add(self, one: Mine) -> None:
        one.tags = [0] * one.lines
        self.blocks.append(one)

    def allocate(self) -> None:
        owner, size = self.chosen.choice((HOST, 0, 1, 2)), self.chosen.choice((64, 128, 512, 2048, 4096))
        box = None if owner == HOST else self.boxes[owner]
        kind = self.chosen.randrange(4)
        try:
            if kind == 3:
                array = self.heap.array(PAGE, owner=box)
                self.add(Mine(self.heap.offset_of(array), LINES, owner, array=array))
                return
            block = self.heap.allocate(size, box, placement=("pages", "dense")[kind % 2], movable=kind == 2)
        except tmebox.LimitError:
            return
        lines = size // LINE
        self.add(Mine(0, lines, owner, block=block, movable=kind == 2))

    def code_allocates(self) -> None:
        who, lines = self.chosen.randrange(3), self.chosen.choice((1, 2, 9, 64))
        if self.chosen.random() < 0.5:
            at, handle = self.boxes[who].alloc(lines * LINE), 0
        else:
            handle = self.boxes[who].handle(lines * LINE)
            at = self.boxes[who].pin(handle) if handle else 0
        if at:
            self.add(Mine(at, lines, who, handle=handle))

    def end(self) -> None:
        one = self.blocks.pop(self.chosen.randrange(len(self.blocks)))
        if one.block is not None or one.array is not None:
            self.heap.free(one.block if one.block is not None else one.array)
        elif one.handle:
            assert self.boxes[one.owner].handle_free(one.handle) == 0
        else:
            assert self.boxes[one.owner].release(one.offset) == 0

    def transfer(self) -> None:
        one, to = self.chosen.choice(self.blocks), self.chosen.choice((HOST, 0, 1, 2))
        if one.block is None and one.array is None:
            if to == HOST or one.handle:
                return
            assert self.boxes[one.owner].give(one.offset, self.boxes[to].key_id) == 0
        else:
            thing = one.block if one.block is not None else one.array
            if to == HOST:
                self.heap.revoke(thing)
            else:
                self.heap.transfer(thing, to=self.boxes[to])
        one.owner, one.members = to, {}
        self.learns(one, to)

    def share(self) -> None:
        for one in self.blocks:
            if one.array is not None:
                who = self.chosen.sample(range(3), self.chosen.choice((1, 2)))
                one.members = {member: self.chosen.choice(("r", "rw")) for member in who}
                self.heap.share(one.array, {self.boxes[m]: r for m, r in one.members.items()})  # type: ignore[misc]
                one.owner = HOST
                for member in who:
                    self.learns(one, member)
                return

    def relocate(self) -> None:
        for one in self.blocks:
            if one.block is not None and self.chosen.random() < 0.3:
                try:
                    self.heap.relocate(one.block, self.chosen.choice(("pages", "dense")))
                except (ValueError, tmebox.LimitError):
                    continue

    def adopt_or_release(self) -> None:
        for one in self.blocks:
            if one.members or one.owner == HOST or one.array is not None:
                continue
            if one.block is None and not one.handle:
                one.block = self.heap.adopt(self.boxes[one.owner], one.offset)
                return
            if one.block is not None and not one.movable:
                one.offset_then = one.block.offset
                one.block.release()
                one.block = None
                return

    def renew(self) -> None:
        """A sandbox is reset, or closed and another one begins."""
        who = self.chosen.randrange(3)
        self.forget_made_by(who)
        if self.chosen.random() < 0.5:
            self.boxes[who].reset()
            return
        self.boxes[who].close()
        for one in self.blocks:
            one.owner = HOST if one.owner == who else one.owner
            if one.members.pop(who, None) and not one.members:
                one.owner = HOST
        self.boxes[who] = tmebox.Sandbox(self.module, heap=self.heap, timeout=20)
        self.known[who] = set()
        self.permit()

    def write(self) -> None:
        one = self.chosen.choice(self.blocks)
        line = self.chosen.randrange(one.lines)
        self.tag += 1
        writers = [who for who in (HOST, 0, 1, 2) if one.may(who, True)] or [HOST]
        who = self.chosen.choice(writers)
        if who == HOST:
            if one.array is not None:
                one.array[line * LINE :][:LINE].view("u8")[:] = self.tag
            elif one.block is not None:
                one.block.write(self.tag.to_bytes(8, "little") * 8, line * LINE)
            else:
                return
        else:
            self.boxes[who].mark(one.offset + line * LINE, self.tag)
        one.tags[line] = self.tag
        for member in one.members or [one.owner]:
            self.learns(one, member)

    # -- the attack --------------------------------------------------------------------------------
    def spy(self, who: int, offset: int, writes: bool) -> None:
        one, line = self.at(offset)
        box, page = self.boxes[who], offset // PAGE
        self.tag += 1 if writes else 0
        try:
            found = box.mark(offset, self.tag) if writes else box.look(offset)
        except tmebox.IntegrityViolation as stopped:
            assert (stopped.offset, stopped.key_id) == (offset, box.key_id)
            assert stopped.access == ("write" if writes else "read")
            assert one is None or not one.may(who, writes), (one, who, writes)
            assert one is not None or self.slack_of(page) != {who}
            if one is not None and not one.members:
                owner = 0 if one.owner == HOST else self.boxes[one.owner].key_id
                assert stopped.owner_key_id == owner
            box.reset()
            self.forget_made_by(who)
            return
        if one is not None:
            assert one.may(who, writes), (one, who, writes)
            if writes:
                one.tags[line] = self.tag
                for member in one.members or [one.owner]:
                    self.learns(one, member)
            else:
                assert found == one.tags[line]
            return
        assert self.slack_of(page) == {who}, f"free lines of {self.slack_of(page)} for {who}"
        if writes:
            self.known[who].add(self.tag)
        else:
            assert found == 0 or found in self.known[who], f"{who} found {found:#x}"


@pytest.fixture(scope="module")
def looking() -> tmebox.Module:
    return tmebox.compile(source_text=MODULE_C)


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    yield request.param


@pytest.mark.parametrize("seed", range(4))
def test_nobody_finds_what_was_never_theirs(looking: tmebox.Module, way: dict[str, Any], seed: int) -> None:
    world = World(looking, seed, way)
    chosen = world.chosen
    steps = [
        *[world.allocate] * 8, *[world.code_allocates] * 5, *[world.end] * 5, *[world.transfer] * 8,
        world.share, *[world.relocate] * 2, world.adopt_or_release, world.renew, *[world.write] * 12,
        world.heap.compact,
    ]  # fmt: skip
    for _ in range(STEPS):
        step = chosen.choice(steps)
        if world.blocks or step in (world.allocate, world.code_allocates):
            step()
        for _ in range(3):
            near = chosen.choice(world.blocks).offset if world.blocks else START
            page = near // PAGE * PAGE if chosen.random() < 0.9 else START + PAGE * chosen.randrange(48)
            world.spy(chosen.randrange(3), page + LINE * chosen.randrange(LINES), chosen.random() < 0.4)
        owners = world.heap.map().reshape(-1)
        for one in world.blocks:
            first = (one.offset - START) // LINE
            key = 0 if one.owner == HOST else world.boxes[one.owner].key_id
            assert one.members or (owners[first : first + one.lines] == key).all()
    world.blocks.clear()
    del one
    for box in world.boxes:
        box.close()
    assert world.heap.stats().block_bytes == 0
