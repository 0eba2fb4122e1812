"""The `.tbx` module file: an ELF64 executable whose metadata is in notes. Untrusted until verified.

A `ModuleFile` is what the linker produced: text at its nominal address, data at its window offsets, and
the lists a loader needs to move the text to its slot. Nothing in it is believed: the verifier decides from
the bytes that will run, and the loader range-checks everything else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tmebox.abi import TABLE_ENTRY
from tmebox.errors import ModuleError
from tmebox.modulefile.prototypes import Prototype
from tmebox.once import once
from tmebox.outputs import write_output

Addresses = NDArray[np.uint32]


@dataclass(frozen=True)
class Segment:
    """Part of the data image: `data` at `offset`, zero-filled to `size_bytes`. Page-aligned offset."""

    offset: int
    data: bytes
    size_bytes: int
    writable: bool


@dataclass(frozen=True)
class Export:
    name: str
    address: int
    prototype: Prototype | None = None


@dataclass(frozen=True)
class Import:
    """Its index in `ModuleFile.imports` is what its stub passes to the host-call gate."""

    name: str
    prototype: Prototype | None = None


@dataclass(frozen=True)
class Symbol:
    """A function's name and extent, for traps and listings only."""

    address: int
    size_bytes: int
    name: str


@dataclass(frozen=True)
class Relocations:
    """Where to add (slot - nominal) when text moves. Text places are byte positions within the text; data
    places are window offsets.

    text_abs32, text_abs64: a field of the text holding a text address: add.
    text_pc32: a field of the text that is relative to itself and points outside the text: subtract.
    data_abs32, data_abs64: a field of the data image holding a text address: add.
    """

    text_abs32: Addresses
    text_abs64: Addresses
    text_pc32: Addresses
    data_abs32: Addresses
    data_abs64: Addresses


@dataclass(frozen=True)
class LineTable:
    """Row i: from addresses[i] on, code comes from files[file_indices[i]]:lines[i]. Sorted by address."""

    addresses: Addresses
    file_indices: NDArray[np.uint16]
    lines: Addresses
    files: tuple[str, ...]


MAX_FILE_BYTES = 1 << 30
"""Largest module file that is read."""
READ_BYTES = 1 << 20
"""How much of it is read at a time."""


@dataclass(frozen=True, eq=False)
class ModuleFile:
    """Addresses are nominal (before relocation).

    functions, labels: claimed targets of indirect branches (target map bits FUNCTION and LABEL).
    fact_places, facts: what is claimed about registers where: register number << 8 | fact, at each place.
    table_entries: how many addresses of instructions, of 8 bytes each, the text ends with: what its jumps
    through tables read. start: address of the command entry (`_start`), or None for a library.
    symbols: sorted by (address, size_bytes, name).
    debug_frame: raw .debug_frame contents for unwinding, nominal addresses; may be empty.
    debug_sections: other debug sections by name, if the module was built to keep them; for debuggers only.
    """

    isolation: str
    base: str
    text_address: int
    text: bytes
    segments: tuple[Segment, ...]
    exports: tuple[Export, ...]
    imports: tuple[Import, ...]
    functions: Addresses
    labels: Addresses
    relocations: Relocations
    symbols: tuple[Symbol, ...]
    lines: LineTable
    table_entries: int = 0
    start: int | None = None
    debug_frame: bytes = b""
    producer: str = ""
    debug_sections: tuple[tuple[str, bytes], ...] = ()
    fact_places: Addresses = field(default_factory=lambda: np.zeros(0, np.uint32))
    facts: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))

    @property
    def code_bytes(self) -> int:
        """How much of the text is instructions: all but the tables."""
        return len(self.text) - TABLE_ENTRY * self.table_entries

    def to_bytes(self) -> bytes:
        """The `.tbx` file. Raises ModuleError if this is not a module that `from_bytes` would accept."""
        from tmebox.modulefile import codec as modulecodec

        return modulecodec.encode(self)

    def check(self) -> None:
        """Raise ModuleError unless every number lies where it may. What the code does is the verifier's."""
        from tmebox.modulefile import check as modulecheck

        modulecheck.check(self)

    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview) -> ModuleFile:
        """Parse untrusted bytes. Raises ModuleError, whatever is wrong with them."""
        from tmebox.modulefile import codec as modulecodec

        return modulecodec.decode(data)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the `.tbx` file, executable so that build systems take it for a program. Raises OSError.

        A regular file appears complete or not at all; a device or a pipe is written to.
        """
        write_output(path, self.to_bytes(), is_program=True, replaces_links=True)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> ModuleFile:
        """Read a `.tbx` file. Raises OSError, or ModuleError if it is not a usable module."""
        data = bytearray()
        with Path(path).open("rb", buffering=0) as file:
            while part := file.read(READ_BYTES):  # one read of the most there may be would take that memory
                data += part
                if len(data) > MAX_FILE_BYTES:
                    raise ModuleError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB")
        try:
            return ModuleFile.from_bytes(data)
        except ModuleError as error:
            raise ModuleError(f"{path}: {error}") from None

    @once
    def digest(self) -> str:
        """SHA-256 in hexadecimal over everything that a verifier or loader uses; names of files and of
        functions that cannot be called do not count."""
        from tmebox.modulefile import codec as modulecodec

        return modulecodec.digest(self)
