"""The same machine once more, slow and obvious: the oracle that the fast one is compared with.

The cryptography is that of the `cryptography` package (AES) and of hashlib (SHA-3), one line at a time, with
nothing kept between two calls. The memory path is written from the rules and not from the C: a cache is a
dictionary and the order in which its lines came or were used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tmebox.tme.dram import MAC_MASK, POISON_BIT, TD_BIT
from tmebox.tme.events import KINDS
from tmebox.tme.machine import Modelled
from tmebox.tme.memory_path import ReadyKey
from tmebox.tme.options import LINE

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
except ImportError as missing:
    raise ImportError("the reference needs the package cryptography: pip install 'tmebox[tme]'") from missing

DONE, INTEGRITY, TD_MISMATCH, POISON, OUTSIDE, KEY_RANGE, KEY_TWICE, PRIVATE, ALIAS = range(9)


def encrypted_tweak(tweak_key: bytes, address: int) -> bytes:
    """The 16 bytes that AES makes of a line's address with the tweak key."""
    encryptor = Cipher(algorithms.AES(tweak_key), modes.ECB()).encryptor()
    return encryptor.update(address.to_bytes(16, "little"))


def crypt(data_key: bytes, tweak_key: bytes, address: int, line: bytes, *, decrypt: bool = False) -> bytes:
    """AES-XTS of one line."""
    if data_key == tweak_key:
        return _crypt_by_blocks(data_key, tweak_key, address, line, decrypt=decrypt)
    cipher = Cipher(algorithms.AES(data_key + tweak_key), modes.XTS(address.to_bytes(16, "little")))
    worker = cipher.decryptor() if decrypt else cipher.encryptor()
    return worker.update(line)


def _crypt_by_blocks(data_key: bytes, tweak_key: bytes, address: int, line: bytes, *, decrypt: bool) -> bytes:
    """The same where both keys are equal, which OpenSSL refuses and hardware does not."""
    cipher = Cipher(algorithms.AES(data_key), modes.ECB())
    tweak = int.from_bytes(encrypted_tweak(tweak_key, address), "little")
    out = b""
    for start in range(0, len(line), 16):
        mask = tweak.to_bytes(16, "little")
        worker = cipher.decryptor() if decrypt else cipher.encryptor()
        block = worker.update(bytes(a ^ b for a, b in zip(line[start : start + 16], mask, strict=True)))
        out += bytes(a ^ b for a, b in zip(block, mask, strict=True))
        tweak <<= 1
        if tweak >> 128:
            tweak = tweak & ((1 << 128) - 1) ^ 0x87
    return out


def mac(mac_key: bytes, ciphertext: bytes, tweak: bytes, td: int) -> int:
    """The 28 bits that are kept beside a line."""
    digest = hashlib.sha3_256(mac_key + ciphertext + tweak + bytes([td])).digest()
    return int.from_bytes(digest[:4], "little") & MAC_MASK


@dataclass
class Entry:
    """A line in the cache."""

    key_id: int
    line: int
    data: bytearray
    dirty: bool = False
    poisoned: bool = False


@dataclass
class Set:
    """The places of one set; for "tree", the tree's nodes, each 1 if its right half was used longer ago."""

    places: list[Entry | None]
    order: list[int] = field(default_factory=list)
    nodes: dict[int, int] = field(default_factory=dict)


class Stopped(Exception):
    """An access ended in an outcome."""

    def __init__(self, outcome: int, line: int, key_id: int) -> None:
        self.outcome, self.line, self.key_id = outcome, line, key_id


class ReferenceMachine(Modelled):
    """As Machine, with the same options, in Python."""

    def _build(self, path: str | None) -> None:
        options = self.options
        self._memory = bytearray(options.memory)
        self._sides: dict[int, int] = {}
        self._keys: dict[int, ReadyKey] = {}
        self._counted = [0] * len(KINDS)
        self._events: list[tuple[int, int, int, int]] = []
        self._happened = 0
        self._lottery = (self._seed or 1) | 1
        self._empty_cache()

    def _empty_cache(self) -> None:
        ways = self.options.ways if self.options.cache else 1
        old = getattr(self, "_sets", [])
        self._sets = [Set([None] * ways) for _ in range(self.options.sets)]
        for new, before in zip(self._sets, old, strict=False):
            new.nodes = before.nodes  # a reset leaves the replacement's memory, in both machines

    # -- what Modelled asks for
    def _dram(self) -> memoryview:
        return memoryview(self._memory)

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
    ) -> None:
        self._address_bits, self._key_bits = address_bits, key_bits
        self._first_private, self._last_key = first_private, len(keys) - 1
        self._exclusion = (exclude_base, exclude_mask) if excluding else None
        self._keys = dict(enumerate(keys))
        self._mac_key = mac_key

    def _set_key(self, key_id: int, key: ReadyKey) -> None:
        self._keys[key_id] = key

    def _set_seam(self, on: bool) -> None:
        self._in_seam = on

    def _side(self, line: int, value: int = -1) -> int:
        if line * LINE >= len(self._memory):
            raise IndexError("no such line")
        if value >= 0:
            self._sides[line] = value & (MAC_MASK | TD_BIT | POISON_BIT)
        return self._sides.get(line, 0)

    def _verifying(self, line: int) -> list[int]:
        side, data = self._side(line), bytes(self._memory[line * LINE : (line + 1) * LINE])
        td, found = side & TD_BIT != 0, []
        for key_id, (_, tweak_key, integrity) in self._keys.items():
            private = key_id >= self._first_private
            if integrity and td == private and not side & POISON_BIT and not self._is_plain(key_id, line):
                expected = mac(self._mac_key, data, encrypted_tweak(tweak_key, line * LINE), td)
                if (expected ^ side) & ((1 << self.options.mac_bits) - 1) == 0:
                    found.append(key_id)
        return found

    def _counts(self) -> list[int]:
        return list(self._counted)

    def _noted(self) -> list[tuple[int, int, int, int]]:
        return list(self._events)

    def _owner_key(self, key_id: int, /) -> tuple[bytes, bytes] | None:
        return None  # no heap lives in it

    def _cached(self) -> list[tuple[int, int, int, int, bytes]]:
        found = []
        for number, one in enumerate(self._sets):
            for way, entry in enumerate(one.places):
                if entry is not None:
                    flags = entry.dirty + 2 * entry.poisoned
                    place = number * len(one.places) + way
                    found.append((place, entry.key_id, entry.line * LINE, flags, bytes(entry.data)))
        return found

    def _note(self, kind: str, key_id: int, line: int) -> None:
        number = KINDS.index(kind)
        self._counted[number] += 1
        self._events.append((self._happened, number, line * LINE, key_id))
        self._happened += 1
        del self._events[: max(0, len(self._events) - self.options.events)]

    # -- accesses
    def read(self, address: int, size: int, *, key_id: int = -1) -> bytes:
        return bytes(self._guarded("read", self._read, address, size, key_id))

    def write(self, address: int, data: bytes, *, key_id: int = -1) -> None:
        self._guarded("write", self._write, address, bytes(data), key_id)

    def direct_store(self, address: int, line: bytes, *, key_id: int = -1) -> None:
        if len(line) != LINE or address % LINE:
            raise ValueError("direct_store() stores one line: 64 bytes at a multiple of 64")
        self._guarded("direct_store", self._direct, address, bytes(line), key_id)

    def _flush_lines(self, address: int, size: int, *, key_id: int = -1) -> None:
        self._guarded("flush", self._flush, address, size, key_id)

    def _guarded(
        self, access: str, work: Callable[[int, Any, int], Any], address: int, what: Any, key_id: int
    ) -> Any:
        if address < 0:
            raise OverflowError("an address is not negative")
        try:
            return work(address, what, key_id)
        except Stopped as stop:
            self._fault(stop.outcome, stop.line * LINE, stop.key_id, access)

    def _split(self, address: int, size: int, key_id: int) -> tuple[int, int]:
        """(address without KeyID, KeyID)."""
        shift = self._address_bits - self._key_bits
        physical = address % (1 << shift) if self._key_bits else address
        inside = address >> shift if self._key_bits else 0
        key = inside if key_id < 0 else key_id

        def need(good: bool, outcome: int) -> None:
            if not good:
                raise Stopped(outcome, physical // LINE, key)

        if address >> self._address_bits:
            raise Stopped(OUTSIDE, address // LINE, 0)
        if inside not in (0, key):
            raise Stopped(KEY_TWICE, physical // LINE, inside)
        need(key >> self._key_bits == 0 and key <= self._last_key, KEY_RANGE)
        need(key < self._first_private or self._in_seam, PRIVATE)
        need(physical + size <= len(self._memory), OUTSIDE)
        return physical, key

    def _read(self, address: int, size: int, key_id: int) -> bytes:
        physical, key = self._split(address, size, key_id)
        out = b""
        for line, start, end in _pieces(physical, size):
            self._note("read", key, line)
            entry = self._bring(key, line, own=False, replace=False)
            out += entry.data[start:end]
            self._leave_if_uncached(line)
        return out

    def _write(self, address: int, data: bytes, key_id: int) -> None:
        physical, key = self._split(address, len(data), key_id)
        for line, start, end in _pieces(physical, len(data)):
            self._note("write", key, line)
            whole = self.options.detection == "paper" and end - start == LINE
            entry = self._bring(key, line, own=True, replace=whole)
            offset = line * LINE + start - physical
            entry.data[start:end] = data[offset : offset + end - start]
            entry.dirty = True
            self._leave_if_uncached(line)

    def _direct(self, address: int, data: bytes, key_id: int) -> None:
        physical, key = self._split(address, LINE, key_id)
        line = physical // LINE
        self._note("direct-store", key, line)
        self._settle_aliases(key, line)
        found = self._find(key, line)
        if found:
            self._note("invalidate", key, line)
            one, way = found
            one.places[way] = None
        self._store(key, line, data)

    def _flush(self, address: int, size: int, key_id: int) -> None:
        physical, key = self._split(address, size, key_id)
        for line, _, _ in _pieces(physical - physical % LINE, size + physical % LINE if size else 0):
            found = self._find(key, line)
            if found:
                self._leave(*found, "flush")

    def _flush_all(self) -> None:
        for one in self._sets:
            for way in range(len(one.places)):
                self._leave(one, way, "flush")

    def _forget(self) -> None:
        self._empty_cache()

    # -- the cache
    def _set_of(self, line: int) -> Set:
        return self._sets[line % len(self._sets)]

    def _find(self, key_id: int, line: int) -> tuple[Set, int] | None:
        one = self._set_of(line)
        for way, entry in enumerate(one.places):
            if entry is not None and (entry.key_id, entry.line) == (key_id, line):
                return one, way
        return None

    def _leave(self, one: Set, way: int, why: str) -> None:
        entry = one.places[way]
        if entry is None:
            return
        self._note(why, entry.key_id, entry.line)
        if entry.dirty:
            self._note("write-back", entry.key_id, entry.line)
            self._store(entry.key_id, entry.line, bytes(entry.data))
        one.places[way] = None

    def _leave_if_uncached(self, line: int) -> None:
        if self.options.cache == 0:
            self._leave(self._set_of(line), 0, "evict")

    def _settle_aliases(self, key_id: int, line: int) -> None:
        one = self._set_of(line)
        for way, entry in enumerate(one.places):
            if entry is not None and entry.line == line and entry.key_id != key_id:
                if self.options.aliases_forbidden:
                    raise Stopped(ALIAS, line, key_id)
                if self.options.coherent_aliases:
                    self._leave(one, way, "alias-flush")

    def _used(self, one: Set, way: int, *, new: bool) -> None:
        if new or self.options.replacement == "lru":
            if way in one.order:
                one.order.remove(way)
            one.order.append(way)
        ways, low, node = len(one.places), 0, 1
        while ways > 1:  # the way is in one half of what a node covers: the other half was used longer ago
            ways //= 2
            right = way >= low + ways
            one.nodes[node] = 0 if right else 1
            low, node = low + ways * right, 2 * node + right

    def _choose(self, one: Set) -> int:
        if None in one.places:
            return one.places.index(None)
        if self.options.replacement in ("lru", "fifo"):
            return one.order[0]
        if self.options.replacement == "random":
            number = self._lottery
            for left, right in ((13, 0), (0, 7), (17, 0)):
                number ^= (number << left if left else number >> right) & (1 << 64) - 1
            self._lottery = number
            return number % len(one.places)
        node = 1
        while node < len(one.places):
            node = 2 * node + one.nodes.get(node, 0)
        return node - len(one.places)

    def _bring(self, key_id: int, line: int, *, own: bool, replace: bool) -> Entry:
        found = self._find(key_id, line)
        if found:
            one, way = found
            entry = one.places[way]
            assert entry is not None
            self._note("hit", key_id, line)
            if self.options.replacement != "fifo":
                self._used(one, way, new=False)
            if entry.poisoned and not replace:
                self._note("poison-used", key_id, line)
                self._stop_poisoned(line, key_id)
            return entry
        self._note("miss", key_id, line)
        self._settle_aliases(key_id, line)
        one = self._set_of(line)
        way = self._choose(one)
        self._leave(one, way, "evict")
        entry = Entry(key_id, line, bytearray(LINE))
        outcome = DONE
        if not replace:
            if own:
                self._note("ownership-read", key_id, line)
            outcome, data = self._load(key_id, line)
            entry.data[:] = data
            if outcome != DONE and self.options.detection == "paper":
                if not own or outcome == POISON:
                    raise Stopped(outcome, line, key_id)
                outcome = DONE
            elif outcome != DONE:
                entry.data[:] = bytes(LINE)
                entry.poisoned = True
                if outcome != POISON:
                    self._note("poison-set", key_id, line)
                    self._sides[line] = self._sides.get(line, 0) | POISON_BIT
        one.places[way] = entry
        self._used(one, way, new=True)
        if outcome != DONE:
            self._leave_if_uncached(line)
            raise Stopped(outcome, line, key_id)
        return entry

    def _stop_poisoned(self, line: int, key_id: int) -> None:
        self._leave_if_uncached(line)
        raise Stopped(POISON, line, key_id)

    # -- behind the memory controller
    def _is_plain(self, key_id: int, line: int) -> bool:
        if key_id == 0 and self._exclusion is not None:
            base, mask = self._exclusion
            if line * LINE & mask == base & mask:
                return True
        return self._keys[key_id][0] == b""

    def _load(self, key_id: int, line: int) -> tuple[int, bytes]:
        side = self._sides.get(line, 0)
        private, td = key_id >= self._first_private, side & TD_BIT != 0
        data = bytes(self._memory[line * LINE : (line + 1) * LINE])
        if side & POISON_BIT:
            self._note("poison-used", key_id, line)
            return POISON, bytes(LINE)
        if td and not private:
            self._note("td-hidden", key_id, line)
            return DONE, bytes(LINE)
        if self._is_plain(key_id, line):
            self._note("plain-load", key_id, line)
            plain = data
        else:
            data_key, tweak_key, integrity = self._keys[key_id]
            self._note("decrypt", key_id, line)
            plain = crypt(data_key, tweak_key, line * LINE, data, decrypt=True)
            if integrity and td == private:
                tweak = encrypted_tweak(tweak_key, line * LINE)
                kept = (1 << self.options.mac_bits) - 1
                good = (mac(self._mac_key, data, tweak, td) ^ side) & kept == 0
                self._note("mac-match" if good else "mac-mismatch", key_id, line)
                if not good:
                    return INTEGRITY, plain
        if private and not td:
            self._note("td-mismatch", key_id, line)
            return TD_MISMATCH, plain
        return DONE, plain

    def _store(self, key_id: int, line: int, data: bytes) -> None:
        private = key_id >= self._first_private
        side = TD_BIT if private else 0
        if self._sides.get(line, 0) & POISON_BIT:
            self._note("poison-cleared", key_id, line)
        if self._is_plain(key_id, line):
            self._note("plain-store", key_id, line)
        else:
            data_key, tweak_key, integrity = self._keys[key_id]
            self._note("encrypt", key_id, line)
            data = crypt(data_key, tweak_key, line * LINE, data)
            if integrity:
                tweak = encrypted_tweak(tweak_key, line * LINE)
                side |= mac(self._mac_key, data, tweak, int(private)) & ((1 << self.options.mac_bits) - 1)
        self._memory[line * LINE : (line + 1) * LINE] = data
        self._sides[line] = side


def _pieces(physical: int, size: int) -> list[tuple[int, int, int]]:
    """(line, first byte, end) of what an access touches, line by line."""
    found = []
    while size:
        start = physical % LINE
        now = min(size, LINE - start)
        found.append((physical // LINE, start, start + now))
        physical, size = physical + now, size - now
    return found
