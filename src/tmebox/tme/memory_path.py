"""What the parts of a machine share: its state, and the memory path below them, which C or the reference
provides."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from tmebox.tme.algorithms import Algorithm
from tmebox.tme.options import Options
from tmebox.tme.registers import Registers

ReadyKey = tuple[bytes, bytes, bool]
"""What a KeyID does: data key, tweak key, integrity. Empty keys: plain text."""


class MemoryPath:
    """The state of a machine. The methods named here are the memory path's: native/python/tme_engine.c has
    them, and tme.reference."""

    options: Options
    registers: Registers
    busy: bool
    privilege_level: int
    _secrets: dict[int, tuple[bytes, bytes]]
    _slots: dict[int, tuple[str, Algorithm | None]]
    _platform: tuple[bytes, bytes]
    _mac_key: bytes
    _policy: Algorithm | None
    _seed: int | None
    _drawn: int
    _entropy_fails: int

    if TYPE_CHECKING:

        def read(self, address: int, size: int, *, key_id: int = ...) -> bytes: ...
        def write(self, address: int, data: Any, *, key_id: int = ...) -> None: ...
        def direct_store(self, address: int, line: Any, *, key_id: int = ...) -> None: ...
        def _flush_lines(self, address: int, size: int, *, key_id: int = ...) -> None: ...
        def _flush_all(self) -> None: ...
        def _forget(self) -> None: ...
        def _configure(
            self,
            address_bits: int,
            key_bits: int,
            first_private: int,
            exclude_base: int,
            exclude_mask: int,
            excluding: bool,
            keys: tuple[ReadyKey, ...],
            mac_key: bytes,
            /,
        ) -> None: ...
        def _set_key(self, key_id: int, key: ReadyKey, /) -> None: ...
        def _set_seam(self, on: bool, /) -> None: ...
        def _side(self, line: int, value: int = ..., /) -> int: ...
        def _verifying(self, line: int, /) -> list[int]: ...
        def _counts(self) -> list[int]: ...
        def _owner_key(self, key_id: int, /) -> tuple[bytes, bytes] | None: ...
        def _noted(self) -> list[tuple[int, int, int, int]]: ...
        def _cached(self) -> list[tuple[int, int, int, int, bytes]]: ...

    def _random(self, size: int) -> bytes:
        if self._seed is None:
            return os.urandom(size)
        self._drawn += 1
        return hashlib.shake_256(f"{self._seed} {self._drawn}".encode()).digest(size)

    def fail_entropy(self, times: int = 1) -> None:
        """The next draws of a key have no entropy: a fault injection."""
        if not isinstance(times, int) or times < 0:
            raise ValueError(f"times={times!r}: a whole number, not negative")
        self._entropy_fails = times
