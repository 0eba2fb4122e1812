"""What is in a `.tbx` module file, as plain data. `codec` reads and writes it, `check` judges it.

A `ModuleFile` is what the linker produced: text at its nominal address, data at its window offsets, and
the lists a loader needs to move the text to its slot. Nothing in it is believed: the verifier decides from
the bytes that will run, and the loader range-checks everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tmebox.abi import TABLE_ENTRY
from tmebox.modulefile.prototypes import Prototype

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


@dataclass(frozen=True, eq=False)
class ModuleFile:
    """Addresses are nominal (before relocation).

    functions, labels: claimed targets of indirect branches (target map bits FUNCTION and LABEL).
    depth_places, depths: what is claimed of the stack's depth, from each place on.
    fact_places, facts: what is claimed about registers where: register number << 8 | fact, at each place.
    table_entries: how many addresses of instructions, of 8 bytes each, the text ends with: what its jumps
    through tables read. start: address of the command entry (`_start`), or None for a library.
    optional: from where to where code may need CPU features that the machine lacks. It asks the control page
    before it goes there. Where the claim is wrong, the module's own code ends in a trap.
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
    optional: tuple[int, int] = (0, 0)
    debug_frame: bytes = b""
    producer: str = ""
    debug_sections: tuple[tuple[str, bytes], ...] = ()
    fact_places: Addresses = field(default_factory=lambda: np.zeros(0, np.uint32))
    facts: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))
    depth_places: Addresses = field(default_factory=lambda: np.zeros(0, np.uint32))
    depths: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))

    @property
    def code_bytes(self) -> int:
        """How much of the text is instructions: all but the tables."""
        return len(self.text) - TABLE_ENTRY * self.table_entries
