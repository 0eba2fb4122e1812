"""Looking into a machine: what a KeyID does, what the cache holds, what happened."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox.tme.events import KINDS, Event, Trace
from tmebox.tme.faults import AccessError
from tmebox.tme.memory_path import MemoryPath


@dataclass(frozen=True)
class KeySlot:
    """What the key table says of a KeyID, without the key. `mode` is "platform", "key", "plain", or "owner":
    a shared heap drew the key for who has the KeyID. `algorithm` is None for plain text. `key` and
    `tweak_key` are empty unless they were asked for."""

    key_id: int
    mode: str
    algorithm: str | None
    private: bool
    key: bytes = b""
    tweak_key: bytes = b""

    def __repr__(self) -> str:
        held = ", key withheld" if self.key else ""
        return f"<KeyID {self.key_id}: {self.mode}, {self.algorithm or 'plain text'}{held}>"


@dataclass(frozen=True)
class CachedLine:
    """A line that a cache holds: plain text, whatever its KeyID."""

    place: int
    key_id: int
    address: int
    dirty: bool
    poisoned: bool
    data: bytes


class Inspected(MemoryPath):
    """The part of a machine that shows it."""

    def key_slot(self, key_id: int, *, reveal: bool = False) -> KeySlot:
        """What a KeyID does. reveal: with its keys, which no hardware shows."""
        bits = self.registers.core_key_bits
        if not 0 <= key_id < 1 << bits:
            raise AccessError(f"KeyID {key_id}", "key-id-range")
        mode, algorithm = self._slots.get(key_id, ("platform", self._policy))
        if key_id == 0 and self.registers.bypassed:
            mode, algorithm = "plain", None
        if not self.registers.enabled:
            mode, algorithm = "plain", None
        keys = self._platform if mode == "platform" else self._secrets.get(key_id, (b"", b""))
        private = bool(self.registers.tdx_bits) and key_id >= 1 << (bits - self.registers.tdx_bits)
        drawn = self._owner_key(key_id)
        if drawn is not None:
            mode, algorithm, keys = "owner", self._policy, drawn
        shown = keys if reveal and mode != "plain" else (b"", b"")
        return KeySlot(key_id, mode, algorithm.name if algorithm else None, private, *shown)

    def cached(self) -> list[CachedLine]:
        """What the cache holds, place by place."""
        return [
            CachedLine(place, key_id, address, bool(flags & 1), bool(flags & 2), data)
            for place, key_id, address, flags, data in self._cached()
        ]

    def verifying(self, address: int) -> list[int]:
        """The KeyIDs under which the line in DRAM would verify now. Nothing is read, noted or changed.

        Several have one key as long as they were not programmed. A KeyID without integrity is never among
        them."""
        if not 0 <= address < self.options.memory:
            raise IndexError(f"{address:#x} is not in the {self.options.memory:#x} bytes of DRAM")
        return self._verifying(address // 64)

    def counters(self) -> dict[str, int]:
        """How often each kind of event happened since the machine was built."""
        return dict(zip(KINDS, self._counts(), strict=True))

    def trace(self) -> Trace:
        """The last events, at most as many as the option `events`."""
        return Trace(
            [Event(number, KINDS[kind], address, key_id) for number, kind, address, key_id in self._noted()]
        )
