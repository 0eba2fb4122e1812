"""The code region and its target map: one slot per module, shared by all of its sandboxes.

The region is reserved once per process. Text is written while it is not executable and made executable
while it is not writable; its part of the target map is published last and withdrawn first, so that no
sandbox can arrive in a slot that is being filled or emptied.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from tmebox import _native, abi
from tmebox.errors import LimitError
from tmebox.memory.shortage import limit_met

HLT = b"\xf4"


@dataclass(frozen=True)
class Slot:
    address: int
    size_bytes: int

    @property
    def end(self) -> int:
        return self.address + self.size_bytes


class CodeRegion:
    """Allocates slots in [CODE_BASE, GATE_BASE): where asked, or from the top down.

    A released slot may still be executing: a sandbox can hold a pointer into another module's text, and its
    thread faults only at its next instruction. Reusing the slot before that would let it go on in the
    middle of different instructions. So released slots wait until no sandbox call is in progress.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[Slot] = []
        # Modules are released by finalizers, which may run inside allocate(): they only append.
        self._quarantine: deque[Slot] = deque()
        self._ready = False
        os.register_at_fork(after_in_child=self._after_fork)

    def allocate(self, size_bytes: int, address: int | None = None) -> Slot:
        """A free slot of at least `size_bytes`, contents undefined, PROT_NONE; at `address` (a multiple of
        TEXT_ALIGN) if one is given. Raises LimitError."""
        size = max(1, -(-size_bytes // abi.TEXT_ALIGN)) * abi.TEXT_ALIGN
        with self._lock:
            self._prepare()
            self._drain_quarantine()
            for index in range(len(self._free) - 1, -1, -1):
                hole = self._free[index]
                start = hole.end - size if address is None else address
                if hole.address <= start and start + size <= hole.end:
                    around = (
                        Slot(hole.address, start - hole.address),
                        Slot(start + size, hole.end - start - size),
                    )
                    self._free[index : index + 1] = [part for part in around if part.size_bytes]
                    return Slot(start, size)
        if address is not None:
            raise LimitError(
                f"code addresses [{address:#x}, {address + size:#x}) are taken by another module"
            )
        raise LimitError(
            f"no {size:,} bytes free in the code region; release modules that are no longer needed "
            f"({len(self._quarantine)} released ones wait for running calls to end)"
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
        _native.map_zero(slot.address + abi.TARGET_MAP, slot.size_bytes, _native.PROT_NONE)
        _native.map_zero(slot.address, slot.size_bytes, _native.PROT_NONE)
        self._quarantine.append(slot)

    def free_bytes(self) -> int:
        with self._lock:
            self._prepare()
            return sum(hole.size_bytes for hole in self._free)

    def _prepare(self) -> None:
        if self._ready:
            return
        try:
            # Every address a check may read, and the gates: without all of it nothing can run.
            _native.reserve(abi.GATE_BASE, abi.TARGET_MAP_END - abi.GATE_BASE)
        except OSError as error:
            raise LimitError(
                f"host addresses {abi.GATE_BASE:#x}-{abi.TARGET_MAP_END:#x} are taken ({error.strerror}); "
                "import tmebox before libraries that map low addresses, and check `ulimit -v`"
            ) from error
        low = self._reserve_code()
        _native.install_gates()
        self._free = [Slot(low, abi.GATE_BASE - low)]
        self._ready = True

    @staticmethod
    def _reserve_code() -> int:
        """Reserve up to GATE_BASE from as low as is free: the heap of a host that is not position-independent
        may reach into the region's lower end."""
        low = abi.CODE_BASE
        for _ in range(8):
            try:
                return _native.reserve(low, abi.GATE_BASE - low)
            except FileExistsError:
                low = _highest_mapping_end(abi.GATE_BASE)
                low = max(abi.CODE_BASE, -(-low // abi.TEXT_ALIGN) * abi.TEXT_ALIGN + abi.TEXT_ALIGN)
                if low >= abi.GATE_BASE:
                    break
        raise LimitError("the code region's addresses (1 to 2 GiB) are taken by the host program")

    def _after_fork(self) -> None:
        """Another thread may have had the lock; at worst, the slot it was about to get is lost."""
        self._lock = threading.Lock()

    def _drain_quarantine(self) -> None:
        if not self._quarantine or _native.calls_in_progress():
            return
        holes = list(self._free)
        while self._quarantine:
            holes.append(self._quarantine.popleft())
        holes.sort(key=lambda hole: hole.address)
        merged: list[Slot] = []
        for hole in holes:
            if merged and merged[-1].end == hole.address:
                merged[-1] = Slot(merged[-1].address, merged[-1].size_bytes + hole.size_bytes)
            else:
                merged.append(hole)
        self._free = merged


def usual_address(text: bytes) -> int | None:
    """Where this text, not yet relocated, goes if nothing is there: the same address in every process, so
    that code addresses in a snapshot are right in others. None for text that has to go where it fits."""
    room = abi.USUAL_TEXT_SIZE - len(text)
    if room < abi.USUAL_TEXT_SIZE // 2:
        return None
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
    return abi.GATE_BASE - abi.USUAL_TEXT_SIZE + number % (room // abi.TEXT_ALIGN) * abi.TEXT_ALIGN


def _highest_mapping_end(below: int) -> int:
    ends = [0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split(maxsplit=1)[0].split("-"))
        if start < below:
            ends.append(min(end, below))
    return max(ends)


CODE_REGION = CodeRegion()
