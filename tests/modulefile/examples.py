"""Module files to begin with, and ways to bend their bytes."""

from __future__ import annotations

import dataclasses
import json
import struct
from typing import Any

import numpy as np

from tmebox import abi
from tmebox.modulefile import codec, elf
from tmebox.modulefile.file import Export, Import, LineTable, ModuleFile, Relocations, Segment, Symbol
from tmebox.modulefile.prototypes import Integer, Parameter, Pointer, Prototype, Struct, StructField, Void

T = abi.TEXT_NOMINAL
D = abi.IMAGE_START
INT = Integer(32, True, "int")
PAIR = Struct("struct pair", 8, 4, (StructField("a", 0, INT), StructField("b", 4, INT)))
ADD = Prototype("add", INT, (Parameter("p", Pointer(PAIR, const=True)), Parameter("n", INT)))


def u32(*values: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return np.array(values, dtype=np.uint32)


def example(**changes: Any) -> ModuleFile:
    """A module with something of everything."""
    module = ModuleFile(
        isolation="code+data",
        base="gs",
        text_address=T,
        text=bytes(range(64)) * 2,
        segments=(Segment(D, b"read-only", 16, False), Segment(D + 0x1000, b"\1" * 100, 9000, True)),
        exports=(Export("add", T, ADD), Export("sub", T + 32)),
        imports=(Import("log", Prototype("log", Void(), (), variadic=True)), Import("other")),
        functions=u32(T, T + 32),
        labels=u32(T + 5),
        relocations=Relocations(u32(1, 9), u32(16), u32(40), u32(D + 0x1000), u32(D, D + 0x1008)),
        symbols=(Symbol(T, 32, "add"), Symbol(T + 32, 96, "sub"), Symbol(T + 64, 0, "inner")),
        lines=LineTable(u32(T, T + 4), np.array([0, 1], np.uint16), u32(7, 8), ("a.c", "b.h")),
        start=T + 64,
        debug_frame=b"frame" * 3,
        producer="test",
        debug_sections=((".debug_info", b"info"),),
    )
    return dataclasses.replace(module, **changes)


def plain(value: Any) -> Any:
    """Arrays as lists, so that modules compare."""
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.tolist())
    if isinstance(value, (ModuleFile, Relocations, LineTable)):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def patched(offset: int, layout: str, *values: int) -> bytes:
    data = bytearray(codec.encode(example()))
    struct.pack_into(layout, data, offset, *values)
    return bytes(data)


def with_metadata(text: bytes) -> bytes:
    """The example with other bytes as its JSON note."""
    data = codec.encode(example())
    found = elf.notes(elf.read(data).notes, codec.OWNER)
    others = [elf.note("tmebox", kind, bytes(body)) for kind, body in found.items() if kind != 0x100]
    notes = b"".join([elf.note("tmebox", 0x100, text), *others])
    sections = [
        elf.Section(".text", elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_EXECINSTR, T, example().text),
        elf.Section(".note.tmebox", elf.SHT_NOTE, data=notes, align=4),
    ]
    loads = [(elf.PT_LOAD, elf.PF_R | elf.PF_X, [".text"]), (elf.PT_NOTE, elf.PF_R, [".note.tmebox"])]
    return elf.write(sections, loads, 0)


def metadata(**changes: Any) -> bytes:
    return json.dumps({**codec._metadata(example()), **changes}).encode()
