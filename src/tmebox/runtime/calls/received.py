"""What sandboxed code passes to a function of the host, taken from registers and its stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tmebox import _native, abi
from tmebox.errors import BadReference
from tmebox.modulefile.prototypes import Array, CType, Pointer, Void
from tmebox.runtime.calls import formats
from tmebox.runtime.calls.arguments import References
from tmebox.runtime.calls.classes import INTEGER_REGISTERS, SSE, Passing, Unpassable, argument
from tmebox.runtime.calls.values import unpack
from tmebox.runtime.sandbox_memory import BadPointer, SandboxMemory

LONGEST_TEXT = abi.MIB
"""Bytes."""
MOST_TEXTS = 8
"""That the core makes of one call's arguments by itself. They may all be the same memory: the texts of calls
with more have `MOST_TEXT_BYTES` together."""
MOST_TEXT_BYTES = MOST_TEXTS * LONGEST_TEXT


@dataclass(frozen=True)
class Guest:
    """What a host function's wrapper needs of the sandbox that calls it. `sandbox` is the user's object,
    which may be gone while its code still runs; `kind` its class. `by_clang`: see `Passing.is_wide`.
    `pointers`: what makes Python values of pointers of a type. `references`: what the sandbox has of the
    host."""

    instance: _native.Instance
    memory: SandboxMemory
    sandbox: Callable[[], Any]
    kind: type
    references: Callable[[], References]
    by_clang: bool = True
    pointers: Callable[[Pointer], _native.PointerMaker | None] | None = None

    @property
    def callbacks(self) -> References:
        return self.references()


class Received:
    """Takes arguments one after the other from registers, then from the sandbox's stack."""

    def __init__(
        self, guest: Guest, name: str, integers: list[int], vectors: list[int], stack_offset: int
    ) -> None:
        self._guest = guest
        self._name = name
        self._integers = integers
        self._vectors = vectors
        self._integers_used = self._vectors_used = 0
        self._integer_registers = INTEGER_REGISTERS
        self._stack = stack_offset
        self._used_bytes = 0
        self._text_bytes_left = MOST_TEXT_BYTES

    def integer(self) -> int:
        """A pointer in the next integer register."""
        self._integers_used += 1
        return self._integers[self._integers_used - 1] & 0xFFFF_FFFF

    def take(self, ctype: CType, passing: Passing) -> Any:
        if isinstance(ctype, Array):  # a pointer to its first element
            ctype = Pointer(ctype.element)
        if passing.fits(self._integer_registers - self._integers_used, self._vectors_used):
            data = bytearray(passing.stack_bytes)
            for kind, index in passing.words:
                data[8 * index : 8 * index + 8] = self._word(kind).to_bytes(8, "little")
            return self._value(ctype, bytes(data[: passing.size_bytes]))
        if passing.is_wide and self._guest.by_clang:
            self._integer_registers = self._integers_used
        try:
            place = passing.stack_place(self._used_bytes)
        except Unpassable as error:
            raise TypeError(f"argument {ctype} of the host function {self._name}(): {error}") from None
        self._used_bytes = place + passing.stack_bytes
        return self._value(ctype, self._guest.memory.read(self._stack + place, passing.size_bytes))

    def behind(self, format: str | bytes | int | None) -> list[Any]:
        """Arguments behind the `...`, as a format says: integers, floats, texts as str and None for NULL,
        pointers as offsets or the objects that handles stand for. Raises ValueError, BadPointer."""
        if isinstance(format, int):
            format = self.text(format) if format else None
        text = format.decode("utf-8", "replace") if isinstance(format, bytes) else format or ""
        values: list[Any] = []
        precision = 0
        for wanted in formats.arguments(text):
            value = self.take(wanted.ctype, argument(wanted.ctype))
            if wanted.bits:
                value &= (1 << wanted.bits) - 1
                value -= value >> (wanted.bits - 1) << wanted.bits if wanted.signed else 0
            if wanted.is_precision:
                precision = value
            if wanted.is_text:
                limit = precision if wanted.limit_bytes == -1 else wanted.limit_bytes
                limit = None if limit is None or limit < 0 else limit
                value = self.text(value, limit).decode("utf-8", "replace") if value else None
            values.append(value)
        return values

    def text(self, offset: int, limit_bytes: int | None = None) -> bytes:
        """Up to its NUL, or a number of bytes: behind those nothing needs to be there. Raises BadPointer,
        also where the texts of the call are too much: they may all be the same memory."""
        memory = self._guest.memory
        if limit_bytes is None:
            found = memory.string(offset, LONGEST_TEXT)
        else:
            found = _up_to(memory, offset, min(limit_bytes, LONGEST_TEXT))
        self._text_bytes_left -= len(found)
        if self._text_bytes_left < 0:
            raise BadPointer(f"{self._name}() gets more than {MOST_TEXT_BYTES:,} bytes of text in one call")
        return found

    def _value(self, ctype: CType, data: bytes) -> Any:
        word = int.from_bytes(data[:8], "little")
        if isinstance(ctype, Pointer) and isinstance(ctype.target, Void) and word >> 32:
            try:
                return self._guest.callbacks.handles[word]
            except KeyError:
                raise BadReference(
                    f"sandboxed code passed {self._name}() a pointer that is neither an offset nor a "
                    f"handle that is open"
                ) from None
        if isinstance(ctype, Pointer):
            return word & 0xFFFF_FFFF
        return unpack(ctype, data, self._guest.instance)

    def _word(self, kind: str) -> int:
        if kind == SSE:
            self._vectors_used += 1
            return self._vectors[self._vectors_used - 1]
        self._integers_used += 1
        return self._integers[self._integers_used - 1]


def _up_to(memory: SandboxMemory, offset: int, limit_bytes: int) -> bytes:
    """A text that may end without a NUL."""
    found = bytearray()
    while len(found) < limit_bytes:
        place = offset + len(found)
        found += memory.read(place, min(limit_bytes - len(found), abi.PAGE_SIZE - place % abi.PAGE_SIZE))
        if (end := found.find(0)) >= 0:
            del found[end:]
            break
    return bytes(found)
