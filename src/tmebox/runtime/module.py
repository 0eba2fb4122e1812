"""Module: verified machine code in its slot of the code region, shared by all of its sandboxes."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tmebox import _native, abi
from tmebox.errors import LimitError, ModuleError
from tmebox.memory.code_region import CODE_REGION, Slot, usual_address
from tmebox.memory.templates import Template
from tmebox.modulefile import codec
from tmebox.modulefile.file import Addresses, ModuleFile, Segment
from tmebox.modulefile.prototypes import Prototype
from tmebox.once import once
from tmebox.progress import shown
from tmebox.runtime.attributes import SANDBOX_ATTRIBUTES
from tmebox.runtime.marks import arrays_place, kept_by_libraries, kept_word, stdout_place
from tmebox.runtime.unwind import Unwinder
from tmebox.shown import Fact, Shown, some_of
from tmebox.verify import VerifiedText, verify_once
from tmebox.warned import warn_caller

INITIALIZER = "__tmebox_initialize"

LONG_TEXT_BYTES = 1 << 18
"""From here on verifying may take long enough to show that it goes on."""

OWN_IMPORTS = frozenset({abi.SYSCALL_IMPORT, abi.SHARED_IMPORT})
"""What every sandbox has from tmebox itself."""


class Module(Shown):
    """Immutable. Make one with `tmebox.compile`, `Module.load` or `Module.from_bytes`.

    Attributes: `exports` and `imports` (name → Prototype, or None where the source's is not known),
    `features` (CPU features its code needs, /proc/cpuinfo names), `optional_features` (those that some of it
    uses where they are there), `file` (the module file it came from).
    """

    def __init__(self, file: ModuleFile, *, trust_compiler: bool = False, address: int | None = None) -> None:
        """Relocate `file` to a free slot, or to the one at `address`, verify the bytes that will run, and
        place them.

        Raises VerificationError, ModuleError (needs a CPU feature this machine lacks, or is not code+data
        isolated and `trust_compiler` was not given), LimitError (no room in the code region, or not there).
        """
        if file.isolation != "code+data" and not trust_compiler:
            raise ModuleError(
                f"the module is compiled with isolation {file.isolation!r}, only safe if its compiler is "
                "trusted: recompile with code+data isolation, or pass trust_compiler=True"
            )
        self.file = file
        slot = _slot(file) if address is None else CODE_REGION.allocate(len(file.text), address)
        self.slide = slot.address - file.text_address
        self.unwinder = Unwinder(file, self.slide)
        try:
            self._verified, self.segments = _relocate_and_verify(file, slot, self.unwinder)
            _require_entries(file, self._verified)
            _require_features(self._verified.features)
            CODE_REGION.place(
                slot,
                self._verified.code,
                self._verified.target_map,
                uses_x87=self._verified.uses_x87,
            )
            # After its part of the target map is there, which the core reads of what is noted.
            _native.note_returns(slot.address, len(self._verified.code), *self._verified.returns)
        except BaseException:
            CODE_REGION.release(slot)
            raise
        self.address = slot.address
        self.features = self._verified.features
        self.optional_features = self._verified.optional_features
        self.exports: dict[str, Prototype | None] = {
            export.name: export.prototype for export in file.exports if export.name != INITIALIZER
        }
        self.imports: dict[str, Prototype | None] = {
            item.name: item.prototype for item in file.imports if item.name not in OWN_IMPORTS
        }
        self._addresses = {export.name: export.address + self.slide for export in file.exports}
        # Libc's start-up of a library; a program's start runs it itself.
        self.library_initializer = self._addresses.get(INITIALIZER) if file.start is None else None
        # What sandboxes have in common, made when the first one needs it.
        self.bound: dict[str, _native.Export] = {}
        self.templates: dict[Any, Template] = {}
        self.names: Any = None
        _LOADED[slot.address] = self
        self._slot = slot
        self._warn_of_shadowed()

    @classmethod
    def load(cls, path: str | Path, *, trust_compiler: bool = False) -> Module:
        """Read, verify and load a `.tbx` file. Raises ModuleError, VerificationError, OSError."""
        return cls(codec.read(path), trust_compiler=trust_compiler)

    @classmethod
    def from_bytes(cls, data: bytes, *, trust_compiler: bool = False) -> Module:
        """As `load`, from the contents of a `.tbx` file."""
        return cls(codec.decode(data), trust_compiler=trust_compiler)

    def save(self, path: str | Path) -> None:
        """Write the module as a `.tbx` file."""
        codec.write(self.file, path)

    def to_bytes(self) -> bytes:
        return codec.encode(self.file)

    def _warn_of_shadowed(self) -> None:
        """Of a library's exports that are no attributes of sandboxes: every sandbox has others there."""
        shadowed = sorted(SANDBOX_ATTRIBUTES.intersection(self.exports)) if self.file.start is None else ()
        if shadowed:
            warn_caller(
                f"exported functions are named like attributes of every sandbox: {', '.join(shadowed)}; "
                f"call them as sandbox.exports[{shadowed[0]!r}](…)"
            )

    def __copy__(self) -> Module:
        return self

    def __deepcopy__(self, memo: Any) -> Module:
        return self

    def __reduce__(self) -> Any:
        """As the bytes of the file, which are verified where they are loaded."""
        if self.file.isolation != "code+data":
            raise TypeError(
                f"a module with isolation {self.file.isolation!r} is not pickled, since loading it takes "
                "trust: save() it, and load it with trust_compiler=True"
            )
        return Module.from_bytes, (self.to_bytes(),)

    def at(self, address: int) -> Module:
        """This module with its text at `address`: itself, or one loaded there. Raises LimitError if another
        module is there."""
        if address == self.address:
            return self
        loaded = _LOADED.get(address)
        if loaded is not None and loaded.digest == self.digest:
            return loaded
        return Module(self.file, trust_compiler=True, address=address)

    def address_of(self, name: str) -> int:
        """Host address of an export. Raises AttributeError with what there is."""
        try:
            return self._addresses[name]
        except KeyError:
            names = some_of(sorted(self.exports))
            raise AttributeError(f"the module exports no function {name!r} (exports: {names})") from None

    @property
    def start(self) -> int | None:
        """Address of the command entry; None for a library."""
        return None if self.file.start is None else self.file.start + self.slide

    @property
    def image_end(self) -> int:
        """First page-aligned offset behind the data image: where the heap starts."""
        ends = [segment.offset + segment.size_bytes for segment in self.segments]
        return -(-max(ends, default=abi.IMAGE_START) // abi.PAGE_SIZE) * abi.PAGE_SIZE

    @once
    def digest(self) -> str:
        """Of the file: equal for two modules that do the same."""
        return codec.digest(self.file)

    @once
    def stdout(self) -> int | None:
        """Offset of the C library's stdout, if the module has it."""
        return stdout_place(self.segments)

    @once
    def arrays(self) -> int | None:
        """Offset of the pointer of its arrays of variable size, and of how low that may be, if it has any."""
        return arrays_place(self.segments)

    @once
    def _kept(self) -> tuple[int, bytes]:
        return kept_by_libraries(self.segments)

    def kept_words(self, arrays_end: int) -> bytes:
        """For the core, what an exception that ends a call makes it put back. arrays_end: where the first
        thread's arrays of variable size begin."""
        variables, words = self._kept
        arrays = self.arrays
        return words if arrays is None else words + kept_word(variables, arrays, at_rest=arrays_end)

    @once
    def has_control(self) -> bool:
        """Whether its stacks are control stacks, with twins in the window."""
        return abi.form(self.file.base, self.file.isolation) == "twin"

    @property
    def by_clang(self) -> bool:
        """Whether clang compiled it; code with its base in r15 comes from gcc."""
        return self.file.base != "r15"

    def covers(self, address: int) -> bool:
        """Whether a host address is one of its text."""
        return 0 <= address - self.address < len(self.file.text)

    def is_function(self, address: int, base: str) -> bool:
        """Whether sandboxed code with its base there may call a host address, and so may the host."""
        index = address - self.address
        if self.file.base != base or not 0 <= index < len(self._verified.target_map):
            return False
        return bool(self._verified.target_map[index] & abi.TARGET_FUNCTION << abi.TARGET_SHIFTS[base])

    def code_byte(self, address: int) -> int | None:
        index = address - self.address
        return self._verified.code[index] if 0 <= index < len(self._verified.code) else None

    def _facts(self) -> Iterable[Fact]:
        yield "kind", "library" if self.start is None else "command (has main)"
        yield "code", f"{self.file.code_bytes:,} bytes"
        for name, functions in (("exports", self.exports), ("imports", self.imports)):
            yield name, tuple(str(prototype or name) for name, prototype in functions.items())
        yield "isolation", f"{self.file.isolation}, base in {self.file.base}"
        yield "needs", ", ".join(sorted(self.features)) or None

    def __repr__(self) -> str:
        return f"<tmebox.Module {self.file.code_bytes:,} bytes of code, {len(self.exports)} exports>"


_LOADED: weakref.WeakValueDictionary[int, Module] = weakref.WeakValueDictionary()


def module_at(address: int) -> Module | None:
    """The loaded module whose text holds a host code address."""
    modules = (reference() for reference in _LOADED.valuerefs())
    return next((module for module in modules if module is not None and module.covers(address)), None)


def _slot(file: ModuleFile) -> Slot:
    """The text's usual place, or where there is room."""
    usual = usual_address(file.text)
    if usual is not None:
        with contextlib.suppress(LimitError):
            return CODE_REGION.allocate(len(file.text), usual)
    return CODE_REGION.allocate(len(file.text))


def _relocate_and_verify(
    file: ModuleFile, slot: Slot, unwinder: Unwinder
) -> tuple[VerifiedText, tuple[Segment, ...]]:
    slide = slot.address - file.text_address
    moved = file.relocations
    text = np.frombuffer(file.text, np.uint8).copy()
    _add(text, moved.text_abs32, slide, np.dtype("<u4"))
    _add(text, moved.text_abs64, slide, np.dtype("<u8"))
    _add(text, moved.text_pc32, -slide, np.dtype("<u4"))
    segments = tuple(_relocate_segment(segment, file, slide) for segment in file.segments)
    with shown("verify") if len(text) >= LONG_TEXT_BYTES else contextlib.nullcontext():
        verified = verify_once(
            text.tobytes(),
            slot.address,
            functions=file.functions.astype(np.int64) + slide,
            labels=file.labels.astype(np.int64) + slide,
            table_entries=file.table_entries,
            fact_places=file.fact_places.astype(np.int64) + slide,
            facts=file.facts.astype(np.int64),
            depth_places=file.depth_places.astype(np.int64) + slide,
            depths=file.depths.astype(np.int64),
            base=file.base,
            isolation=file.isolation,
            optional=(file.optional[0] + slide, file.optional[1] + slide),
            locate=unwinder.place,
        )
    return verified, segments


def _relocate_segment(segment: Segment, file: ModuleFile, slide: int) -> Segment:
    data = np.frombuffer(segment.data, np.uint8).copy()
    for places, width in ((file.relocations.data_abs32, "<u4"), (file.relocations.data_abs64, "<u8")):
        dtype = np.dtype(width)
        inside = places[
            (places >= segment.offset)
            & (places.astype(np.int64) + dtype.itemsize <= segment.offset + len(data))
        ]
        _add(data, inside - np.uint32(segment.offset), slide, dtype)
    return Segment(segment.offset, data.tobytes(), segment.size_bytes, segment.writable)


def _add(
    data: np.ndarray[Any, np.dtype[np.uint8]], places: Addresses, amount: int, dtype: np.dtype[Any]
) -> None:
    """Add `amount` to the little-endian field at each byte position of `places`."""
    if not len(places):
        return
    width = dtype.itemsize
    if int(places.max()) + width > len(data):
        raise ModuleError("a relocation lies outside its section")
    index = places.astype(np.int64)[:, None] + np.arange(width)
    fields = data[index].copy().view(dtype)[:, 0]
    fields += np.array(amount & ((1 << 8 * width) - 1), dtype)
    data[index] = fields[:, None].view(np.uint8)


def _require_entries(file: ModuleFile, verified: VerifiedText) -> None:
    """The host enters exports and the start address directly, so each must be a verified function entry."""
    function = abi.TARGET_FUNCTION << abi.TARGET_SHIFTS[file.base]
    entries = [(export.name, export.address) for export in file.exports]
    if file.start is not None:
        entries.append(("start", file.start))
    for name, address in entries:
        index = address - file.text_address
        inside = 0 <= index < len(verified.target_map)
        if not inside or (file.isolation == "code+data" and not verified.target_map[index] & function):
            raise ModuleError(f"export {name!r} is not the entry of a function of the module")


def _require_features(needed: frozenset[str]) -> None:
    here = _native.cpu_features()
    missing = sorted(feature for feature in needed if not here.get(feature, False))
    if missing:
        raise ModuleError(
            f"the module needs CPU features this machine lacks: {', '.join(missing)}; recompile it without "
            "the -march/-m options for them"
        )
