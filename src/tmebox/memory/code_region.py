"""The code region and its target map: one slot per module, shared by all of its sandboxes.

The region is reserved once per process. Text is written while it is not executable and made executable
while it is not writable; its part of the target map is published last and withdrawn first, so that no
sandbox can arrive in a slot that is being filled or emptied.
"""

from __future__ import annotations

import hashlib

from tmebox import _native, abi
from tmebox.errors import LimitError
from tmebox.memory.reminder import Reminder
from tmebox.memory.reservation import reserve
from tmebox.memory.shortage import limit_met

HLT = b"\xf4"
_MOST_IN_VAIN = 8
"""Texts that still wait which one call of `tidy` looks at: the next call goes on with others."""


class Text:
    """Part of the region. waits_for: threads that may be in the middle of what was there when it was taken
    away, each with what it was doing. since: when that was, for `stacks_hold`."""

    __slots__ = ("extent", "since", "waits_for")

    def __init__(self, extent: _native.Extent) -> None:
        self.extent = extent
        self.since = 0
        self.waits_for: frozenset[tuple[int, int, int]] = frozenset()


class Slot:
    """Whose text can be at [address, end). Dropped, it goes back to the region. It has no finalizer:
    `reminder` says why."""

    __slots__ = ("_claim", "_reminder", "address", "size_bytes")

    def __init__(self, claim: _native.Claim[Text], region: CodeRegion) -> None:
        extent = claim.thing.extent
        self.address = extent.start
        self.size_bytes = extent.size
        self._claim: _native.Claim[Text] | None = claim
        self._reminder = Reminder(region.tidy)  # goes after the claim: attributes go in the order of names

    @property
    def end(self) -> int:
        return self.address + self.size_bytes

    def give_up(self) -> None:
        """Somebody else may have it, in time."""
        self._claim = None

    def __repr__(self) -> str:
        return f"<Slot [{self.address:#x}, {self.end:#x})>"


class CodeRegion:
    """Allocates slots in [CODE_BASE, GATE_BASE): where asked, or from the top down.

    A released slot may still be executing: a sandbox can hold a pointer into another module's text, and its
    thread faults only at its next instruction. Reusing the slot before that would let it go on in the
    middle of different instructions. So a released slot waits until each thread that was in sandboxed code
    when its text went has left sandboxed code once, be it for a host call: it comes back through a check.

    There is no lock: see `WindowPool`.
    """

    def __init__(self) -> None:
        self._extents: _native.Extents | None = None
        self._released: _native.Shelf[Text] = _native.Shelf()
        self._waiting: _native.Shelf[Text] = _native.Shelf()
        # Texts whose slots are garbage are reached from here: the collector would empty them, too.
        self._texts: set[Text] = set()

    def allocate(self, size_bytes: int, address: int | None = None) -> Slot:
        """A free slot of at least `size_bytes`, contents undefined, PROT_NONE; at `address` (a multiple of
        TEXT_ALIGN) if one is given. Raises LimitError."""
        size = max(1, -(-size_bytes // abi.TEXT_ALIGN)) * abi.TEXT_ALIGN
        extents = self._prepared()
        self.tidy()
        if address is None:
            extent = extents.take(size, from_the_top=True)
        else:
            extent = extents.take_at(address, size) if 0 <= address < abi.GATE_BASE else None
        if extent is not None:
            claim = self._released.claim(Text(extent))
            self._texts.add(claim.thing)
            return Slot(claim, self)
        if address is not None:
            raise LimitError(
                f"code addresses [{address:#x}, {address + size:#x}) are taken by another module"
            )
        raise LimitError(
            f"no {size:,} bytes free in the code region; release modules that are no longer needed "
            f"({len(self._waiting)} released ones wait for running calls to end, or to call the host)"
        )

    def place(self, slot: Slot, code: bytes, target_map: bytes, *, uses_x87: bool) -> None:
        """Make verified code runnable. `code` and `target_map` are of equal length. Raises LimitError.

        uses_x87: it has instructions that change x87 state.
        """
        if len(code) != len(target_map) or len(code) > slot.size_bytes:
            raise ValueError("code and target map must be of equal length and fit the slot")
        padded = -(-len(code) // abi.PAGE_SIZE) * abi.PAGE_SIZE
        code += HLT * (padded - len(code))
        if uses_x87:  # before it can run: a sandbox of another module may jump into it at once
            _native.expect_x87()
        try:
            for address, contents, access in (
                (slot.address, code, _native.PROT_READ | _native.PROT_EXEC),
                (slot.address + abi.TARGET_MAP, target_map, _native.PROT_READ),
            ):
                _native.map_zero(address, padded, _native.PROT_READ | _native.PROT_WRITE)
                _native.write(address, contents)
                _native.protect(address, padded, access)
        except OSError as error:
            raise LimitError(
                f"no memory for {len(target_map):,} bytes of code ({error.strerror}); the limit is "
                f"{limit_met(error, 2 * padded)}"
            ) from error

    def release(self, slot: Slot) -> None:
        """Take the slot's text away. Sandboxes still inside it trap."""
        slot.give_up()
        self.tidy()

    def tidy(self) -> None:
        """Take away what was released, and have back what nobody can be in any more."""
        while (claim := self._released.take(oldest=True)) is not None:
            text = claim.thing
            # First: the core reads the target map of texts that are noted.
            _native.note_returns(text.extent.start, text.extent.size, b"", b"")
            try:
                for address in (text.extent.start + abi.TARGET_MAP, text.extent.start):
                    _native.map_zero(address, text.extent.size, _native.PROT_NONE)
            except OSError:  # not at the moment
                break
            text.since = _native.control_clock()
            text.waits_for = frozenset(_native.restless())
            claim.give(self._waiting)
        # What was looked at longest ago first. Stacks are looked at for each, so only for a few in vain.
        unseen, patience = len(self._waiting), _MOST_IN_VAIN
        while unseen > 0 and patience > 0 and (claim := self._waiting.take(oldest=True)) is not None:
            unseen -= 1
            if _is_left(claim.thing):
                self._texts.discard(claim.thing)
                claim.settle()
            else:
                patience -= 1
                claim.give(self._waiting)

    def free_bytes(self) -> int:
        return self._prepared().free

    def prepare(self) -> None:
        """Reserve the region, unless it is. Raises LimitError."""
        if self._extents is None:
            _native.set_first(self, "_extents", _native.Extents(reserve(), abi.GATE_BASE))

    def _prepared(self) -> _native.Extents:
        self.prepare()
        assert self._extents is not None
        return self._extents


def _is_left(text: Text) -> bool:
    """Whether each of those threads has left sandboxed code since, and no control stack leads there."""
    waits_for = text.waits_for  # before looking, not after
    start, size = text.extent.start, text.extent.size
    return waits_for.isdisjoint(_native.restless()) and not _native.stacks_hold(
        start, start + size, text.since
    )


def usual_address(text: bytes) -> int | None:
    """Where this text, not yet relocated, goes if nothing is there: the same address in every process, so
    that code addresses in a snapshot are right in others. None for text that has to go where it fits."""
    room = abi.USUAL_TEXT_SIZE - len(text)
    if room < abi.USUAL_TEXT_SIZE // 2:
        return None
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
    return abi.GATE_BASE - abi.USUAL_TEXT_SIZE + number % (room // abi.TEXT_ALIGN) * abi.TEXT_ALIGN


CODE_REGION = CodeRegion()
