"""Module files as bytes and on disk: an ELF64 executable plus notes. Decoding trusts nothing and needs no
more memory than it was given.

Notes of owner "tmebox": the first is JSON (everything with names), the others are packed little-endian
arrays. Function symbols live in .symtab, as everywhere; code and data in PT_LOAD segments.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tmebox import abi
from tmebox.errors import ModuleError
from tmebox.modulefile import elf
from tmebox.modulefile.check import MAX_NAME_BYTES, MAX_SEGMENTS, MAX_SYMBOLS, check, symbol_key
from tmebox.modulefile.file import Export, Import, LineTable, ModuleFile, Relocations, Segment, Symbol
from tmebox.modulefile.launcher import without_launcher
from tmebox.modulefile.prototypes import prototype_from_json, prototype_to_json
from tmebox.modulefile.unchanging import unchanging
from tmebox.outputs import write_output

FORMAT = 4
OWNER = "tmebox"
NOTE_METADATA = 0x100
ARRAYS: tuple[tuple[int, str, str], ...] = (
    (0x101, "functions", "<u4"),
    (0x102, "labels", "<u4"),
    (0x103, "text_abs32", "<u4"),
    (0x104, "text_abs64", "<u4"),
    (0x105, "text_pc32", "<u4"),
    (0x106, "data_abs32", "<u4"),
    (0x107, "data_abs64", "<u4"),
    (0x108, "line_addresses", "<u4"),
    (0x109, "line_files", "<u2"),
    (0x10A, "line_numbers", "<u4"),
    (0x10B, "fact_places", "<u4"),
    (0x10C, "facts", "<u2"),
    (0x10D, "depth_places", "<u4"),
    (0x10E, "depths", "<u4"),
)
"""Note type (above those that other tools give a meaning), what it holds, element type."""

MAX_FILE_BYTES = 1 << 30
"""Largest module file that is read."""
READ_BYTES = 1 << 20
"""How much of it is read at a time."""
MAX_METADATA_BYTES = 64 << 20
MAX_METADATA_ITEMS = 2_000_000
"""Numbers, texts, lists and the like: each takes many times its bytes."""
MAX_NAMES_BYTES = 64 << 20
"""All symbol names together: a hostile file may point a million symbols at one long name."""

_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_STT_FUNC, _STB_GLOBAL = 2, 1
_LONGEST_NUMBER = 20


def write(module: ModuleFile, path: str | os.PathLike[str], *, launcher: bytes = b"") -> None:
    """Write the `.tbx` file, executable so that build systems take it for a program; behind a `launcher`, if
    there is one. Raises OSError, or ModuleError for a module that `decode` would refuse.

    A regular file appears complete or not at all; a device or a pipe is written to.
    """
    write_output(path, launcher + encode(module), is_program=True, replaces_links=True)


def read(path: str | os.PathLike[str]) -> ModuleFile:
    """Read a `.tbx` file. Raises OSError, or ModuleError if it is not a usable module."""
    data = bytearray()
    with Path(path).open("rb", buffering=0) as file:
        while part := file.read(READ_BYTES):  # one read of the most there may be would take that memory
            data += part
            if len(data) > MAX_FILE_BYTES:
                raise ModuleError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        return _decode(data)
    except ModuleError as error:
        raise ModuleError(f"{path}: {error}") from None


# -- encoding -----------------------------------------------------------------------------------------
def encode(module: ModuleFile) -> bytes:
    """The file. Raises ModuleError for a module that `decode` would refuse."""
    check(module)
    arrays = _arrays(module)
    described = _json(_metadata(module))
    _require_bounded(described)
    packed = [elf.note(OWNER, NOTE_METADATA, described)]
    packed += [elf.note(OWNER, kind, arrays[name].astype(dtype).tobytes()) for kind, name, dtype in ARRAYS]
    sections = [
        elf.Section(
            ".text",
            elf.SHT_PROGBITS,
            elf.SHF_ALLOC | elf.SHF_EXECINSTR,
            module.text_address,
            module.text,
            align=64,
        )
    ]
    loads: list[tuple[int, int, Sequence[str]]] = [(elf.PT_LOAD, elf.PF_R | elf.PF_X, [".text"])]
    for index, segment in enumerate(module.segments):
        alike = sum(other.writable == segment.writable for other in module.segments[:index])
        parts = _segment_sections(segment, f".{alike}" if alike else "")
        sections += parts
        flags = elf.PF_R | (elf.PF_W if segment.writable else 0)
        loads.append((elf.PT_LOAD, flags, [part.name for part in parts]))
    sections.append(elf.Section(".note.tmebox", elf.SHT_NOTE, data=b"".join(packed), align=4))
    loads.append((elf.PT_NOTE, elf.PF_R, [".note.tmebox"]))
    symbols, strings, local_count = _symbol_table(module)
    sections.append(
        elf.Section(
            ".symtab",
            elf.SHT_SYMTAB,
            data=symbols,
            link=".strtab",
            info=local_count,
            align=8,
            entry_size_bytes=24,
        )
    )
    sections.append(elf.Section(".strtab", elf.SHT_STRTAB, data=strings))
    debug = [(".debug_frame", module.debug_frame), *module.debug_sections]
    sections += [elf.Section(name, elf.SHT_PROGBITS, data=data, align=8) for name, data in debug if data]
    return elf.write(sections, loads, module.start or 0)


def _segment_sections(segment: Segment, suffix: str) -> list[elf.Section]:
    """A segment as sections: its data and, where it is longer, zeros. `suffix` makes their names unique."""
    flags = elf.SHF_ALLOC | (elf.SHF_WRITE if segment.writable else 0)
    name = (".data" if segment.writable else ".rodata") + suffix
    sections = [elf.Section(name, elf.SHT_PROGBITS, flags, segment.offset, segment.data, align=abi.PAGE_SIZE)]
    zeros = segment.size_bytes - len(segment.data)
    if zeros:
        where = segment.offset + len(segment.data)
        zero_name = (".bss" if segment.writable else ".zero") + suffix
        sections.append(elf.Section(zero_name, elf.SHT_NOBITS, flags, where, size_bytes=zeros))
    return sections


def _metadata(module: ModuleFile) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "isolation": module.isolation,
        "base": module.base,
        "start": module.start,
        "table_entries": module.table_entries,
        "optional": module.optional,
        "exports": [
            [e.name, e.address, e.prototype and prototype_to_json(e.prototype)] for e in module.exports
        ],
        "imports": [[i.name, i.prototype and prototype_to_json(i.prototype)] for i in module.imports],
        "files": list(module.lines.files),
        "producer": module.producer,
    }


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=True).encode()


def _arrays(module: ModuleFile) -> dict[str, NDArray[Any]]:
    moves, lines = module.relocations, module.lines
    return {
        "functions": module.functions,
        "labels": module.labels,
        "text_abs32": moves.text_abs32,
        "text_abs64": moves.text_abs64,
        "text_pc32": moves.text_pc32,
        "data_abs32": moves.data_abs32,
        "data_abs64": moves.data_abs64,
        "line_addresses": lines.addresses,
        "line_files": lines.file_indices,
        "line_numbers": lines.lines,
        "fact_places": module.fact_places,
        "facts": module.facts,
        "depth_places": module.depth_places,
        "depths": module.depths,
    }


def _symbol_table(module: ModuleFile) -> tuple[bytes, bytes, int]:
    """.symtab, .strtab, and how many symbols (the null symbol included) are local."""
    exported = {(export.address, export.name) for export in module.exports}
    ordered = sorted(module.symbols, key=lambda symbol: (symbol.address, symbol.name) in exported)
    table = np.zeros(len(ordered) + 1, dtype=_SYMBOL)
    strings = bytearray(b"\0")
    local_count = 1
    for row, symbol in enumerate(ordered, 1):
        is_global = (symbol.address, symbol.name) in exported
        local_count += not is_global
        info = _STT_FUNC | (_STB_GLOBAL << 4 if is_global else 0)
        table[row] = (len(strings), info, 0, 1, symbol.address, symbol.size_bytes)
        strings += symbol.name.encode("utf-8", "surrogateescape") + b"\0"
    return table.tobytes(), bytes(strings), local_count


def digest(module: ModuleFile) -> str:
    """SHA-256 in hexadecimal over everything that a verifier or loader uses; names of files and of functions
    that cannot be called do not count."""
    metadata = _metadata(module)
    for incidental in ("files", "producer"):
        del metadata[incidental]
    total = hashlib.sha256()
    parts: list[bytes] = [_json(metadata), _json(module.text_address), module.text]
    for segment in module.segments:
        parts += [_json([segment.offset, segment.size_bytes, segment.writable]), segment.data]
    arrays = _arrays(module)
    parts += [
        arrays[name].astype(dtype).tobytes() for _, name, dtype in ARRAYS if not name.startswith("line_")
    ]
    for part in parts:  # each with its length before it, so that bytes cannot wander between parts
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()


# -- decoding -----------------------------------------------------------------------------------------
def decode(data: bytes | bytearray | memoryview) -> ModuleFile:
    """Parse untrusted bytes; raises ModuleError and nothing else. Of what is not bytes, a copy."""
    return _decode(unchanging(data))


def _decode(data: bytes | bytearray) -> ModuleFile:
    """data: nobody else's to change."""
    try:
        return _decoded(data)
    except RecursionError:  # a list where a name is expected, as deep as the parser still takes it
        raise ModuleError("malformed metadata in the module file: it nests too deeply") from None


def _decoded(data: bytes | bytearray) -> ModuleFile:
    container = elf.read(without_launcher(data))
    found = elf.notes(container.notes, OWNER)
    if NOTE_METADATA not in found:
        raise ModuleError("not a module file: an ELF executable without tmebox notes")
    metadata = _parse_json(found[NOTE_METADATA])
    if metadata.get("format") != FORMAT:
        raise ModuleError(
            f"module file of format {metadata.get('format')!r:.20}; this version reads format {FORMAT}: "
            "compile it again"
        )
    arrays = {name: _array(found, kind, name, dtype) for kind, name, dtype in ARRAYS}
    texts = [load for load in container.loads if load.flags & elf.PF_X]
    if len(texts) != 1 or texts[0].flags & elf.PF_W or texts[0].size_bytes != len(texts[0].data):
        raise ModuleError("a module file has exactly one text segment, which is not writable")
    text = texts[0]
    if len(text.data) > abi.TEXT_MAX or len(container.loads) > MAX_SEGMENTS + 1:
        raise ModuleError("the module file's segments are too many or too large")
    debug_names = sorted(
        name for name in container.sections if name.startswith(".debug_") and name != ".debug_frame"
    )
    moves = {
        name: arrays[name] for name in ("text_abs32", "text_abs64", "text_pc32", "data_abs32", "data_abs64")
    }
    try:
        module = ModuleFile(
            isolation=metadata["isolation"],
            base=metadata["base"],
            text_address=text.address,
            text=bytes(text.data),
            segments=tuple(
                Segment(load.address, bytes(load.data), load.size_bytes, bool(load.flags & elf.PF_W))
                for load in container.loads
                if load is not text
            ),
            exports=tuple(
                Export(name, address, None if prototype is None else prototype_from_json(prototype))
                for name, address, prototype in metadata["exports"]
            ),
            imports=tuple(
                Import(name, None if prototype is None else prototype_from_json(prototype))
                for name, prototype in metadata["imports"]
            ),
            functions=arrays["functions"],
            labels=arrays["labels"],
            relocations=Relocations(**moves),
            symbols=_symbols(container.sections),
            lines=LineTable(
                arrays["line_addresses"],
                arrays["line_files"],
                arrays["line_numbers"],
                tuple(metadata["files"]),
            ),
            table_entries=metadata["table_entries"],
            start=metadata["start"],
            optional=_range(metadata.get("optional", (0, 0))),
            debug_frame=bytes(container.sections.get(".debug_frame", b"")),
            producer=metadata["producer"],
            fact_places=arrays["fact_places"],
            facts=arrays["facts"],
            depth_places=arrays["depth_places"],
            depths=arrays["depths"],
            debug_sections=tuple((name, bytes(container.sections[name])) for name in debug_names),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModuleError(f"malformed metadata in the module file: {error!r:.80}") from None
    check(module)
    return module


def _require_bounded(metadata: bytes) -> None:
    if (
        len(metadata) > MAX_METADATA_BYTES
        or metadata.count(b",") + metadata.count(b"[") + metadata.count(b"{") > MAX_METADATA_ITEMS
    ):
        raise ModuleError("the module file's metadata is absurdly large")


def _parse_json(data: memoryview) -> dict[str, Any]:
    if len(data) > MAX_METADATA_BYTES:
        raise ModuleError("the module file's metadata is absurdly large")
    text = bytes(data)
    _require_bounded(text)
    try:
        parsed = json.loads(text, parse_float=_no_float, parse_constant=_no_float, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise ModuleError(f"malformed metadata in the module file: {error!s:.80}") from None
    if not isinstance(parsed, dict):
        raise ModuleError("malformed metadata in the module file: not an object")
    return parsed


def _range(pair: Any) -> tuple[int, int]:
    start, end = pair
    return start, end


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"a fraction where none belongs: {text:.20}")


def _array(found: dict[int, memoryview], kind: int, name: str, dtype: str) -> NDArray[Any]:
    if kind not in found:
        raise ModuleError(f"the module file has no {name} note")
    if len(found[kind]) % np.dtype(dtype).itemsize:
        raise ModuleError(f"the module file's {name} note is cut short")
    array = np.frombuffer(bytes(found[kind]), dtype=dtype)  # bytes: read-only, and no tie to the input
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _symbols(sections: dict[str, memoryview]) -> tuple[Symbol, ...]:
    table, strings = sections.get(".symtab"), bytes(sections.get(".strtab", b""))
    if table is None:
        return ()
    if len(table) % _SYMBOL.itemsize or len(table) // _SYMBOL.itemsize > MAX_SYMBOLS:
        raise ModuleError("the module file's symbol table has an impossible size")
    rows = np.frombuffer(table, dtype=_SYMBOL)
    rows = rows[(rows["info"] & 15) == _STT_FUNC]
    symbols: list[Symbol] = []
    budget = MAX_NAMES_BYTES
    for name_offset, address, size in zip(
        rows["name"].tolist(), rows["value"].tolist(), rows["size"].tolist(), strict=True
    ):
        end = strings.find(b"\0", name_offset, name_offset + MAX_NAME_BYTES)
        if end < 0:
            raise ModuleError("a symbol's name in the module file is missing or too long")
        budget -= end - name_offset
        if budget < 0:
            raise ModuleError("the symbol names of the module file are absurdly long")
        symbols.append(Symbol(address, size, strings[name_offset:end].decode("utf-8", "surrogateescape")))
    return tuple(sorted(symbols, key=symbol_key))
