"""Assembled examples for the verifier: `accept/RULE--WHAT.s` and `reject/RULE--WHAT.s`.

A file's global symbols are its claimed functions, its symbols named `label_…` its claimed labels. One named
`fact_REGISTER_base_…` or `fact_REGISTER_BITS_…` claims a fact about a register at its place, one named
`depth_BYTES_…` a depth of the stack from there on. Comments
`# address: N`, `# base: NAME`, `# isolation: NAME` and `# table-entries: N` set what else `verify` is told.
The numbers of the contract are symbols (M, BASE, REACH, …), so that no example repeats them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from tmebox import abi

ACCEPT = Path(__file__).parent / "accept"
REJECT = Path(__file__).parent / "reject"

NUMBERS = {
    "M": abi.TARGET_MAP,
    "BASE": abi.CONTROL_WINDOW_BASE,
    "RSP_MASK": abi.CONTROL_RSP_MASK,
    "RSP_START": abi.CONTROL_RSP_START,
    "REACH": abi.STACK_REACH,
    "DEEPEST": abi.CONTROL_GUARD - 2 * abi.STACK_REACH,
    "RETURN": abi.TARGET_RETURN,
    "FUNCTION": abi.TARGET_FUNCTION,
    "LABEL": abi.TARGET_LABEL,
    "R15_RETURN": abi.TARGET_RETURN << abi.TARGET_R15_SHIFT,
    "R15_FUNCTION": abi.TARGET_FUNCTION << abi.TARGET_R15_SHIFT,
    "R15_LABEL": abi.TARGET_LABEL << abi.TARGET_R15_SHIFT,
    "R15_REACH": abi.R15_REACH,
    **{f"LABEL_{depth}": mark for depth, mark in zip(abi.LABEL_DEPTHS, abi.LABEL_MARKS, strict=True)},
    "SPILL_REGISTER": abi.SPILL_REGISTER,
    "SPILL_TARGET": abi.SPILL_TARGET,
}
OUTSIDE = {**abi.GATES, "EXIT_GATE": abi.GATE_EXIT}
"""Symbols that branches may name and that are not in the text."""
REGISTERS = [
    "rax",
    "rcx",
    "rdx",
    "rbx",
    "rsp",
    "rbp",
    "rsi",
    "rdi",
    *(f"r{number}" for number in range(8, 16)),
]
PC_RELATIVE = (2, 4)
"""R_X86_64_PC32 and R_X86_64_PLT32: four bytes, relative to themselves."""
ABSOLUTE = {1: 8, 10: 4, 11: 4}
"""R_X86_64_64, R_X86_64_32 and R_X86_64_32S, and how many bytes they are."""


@dataclass(frozen=True)
class Example:
    code: bytes
    address: int
    functions: tuple[int, ...]
    labels: tuple[int, ...]
    isolation: str
    base: str
    table_entries: int
    facts: tuple[tuple[int, int], ...] = ()
    depths: tuple[tuple[int, int], ...] = ()

    def arguments(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "address": self.address,
            "functions": self.functions,
            "labels": self.labels,
            "isolation": self.isolation,
            "base": self.base,
            "table_entries": self.table_entries,
            **claimed(self.facts),
            "depth_places": [place for place, _ in self.depths],
            "depths": [depth for _, depth in self.depths],
        }


def claimed(facts: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    """Claims about registers, as `verify` takes them."""
    return {"fact_places": [place for place, _ in facts], "facts": [fact for _, fact in facts]}


def fact_of(name: str) -> int:
    """What a symbol claims: the register's number << 8 | the fact."""
    _, register, fact, *_ = name.split("_")
    return REGISTERS.index(register) << 8 | (abi.HOLDS_BASE if fact == "base" else int(fact))


def assemble(sources: list[Path], folder: Path) -> dict[Path, Example]:
    """Every source assembled, by one run of the assembler."""
    numbers = [f"-Wa,-defsym,{name}={value}" for name, value in NUMBERS.items()]
    command = [sys.executable, "-m", "ziglang", "clang", "-target", "x86_64-linux-musl", "-c", *numbers]
    subprocess.run([*command, *map(str, sources)], cwd=folder, check=True, capture_output=True)
    return {source: read(source, folder / f"{source.stem}.o") for source in sources}


def read(source: Path, object_file: Path) -> Example:
    """Where an example says nothing about the stack's depth or the base, it begins as a function does."""
    settings = dict(
        re.findall(r"^# (address|isolation|base|table-entries): (\S+)$", source.read_text(), re.MULTILINE)
    )
    address = int(settings.get("address", str(abi.TEXT_NOMINAL)), 0)
    with object_file.open("rb") as stream:
        elf = ELFFile(stream)
        section = elf.get_section_by_name(".text")
        index = elf.get_section_index(".text")
        symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
        code = bytearray(section.data())
        relocations = elf.get_section_by_name(".rela.text")
        for relocation in relocations.iter_relocations() if relocations else ():
            kind = relocation["r_info_type"]
            if kind not in PC_RELATIVE and kind not in ABSOLUTE:
                raise ValueError(f"{source.name}: relocation {kind}")
            place = relocation["r_offset"]
            symbol = symbols[relocation["r_info_sym"]]
            target = address + symbol["st_value"] if symbol["st_shndx"] == index else OUTSIDE[symbol.name]
            value, width = target + relocation["r_addend"], ABSOLUTE.get(kind, 4)
            value -= address + place if kind in PC_RELATIVE else 0
            code[place : place + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
    here = [symbol for symbol in symbols if symbol["st_shndx"] == index]
    functions = [symbol for symbol in here if symbol["st_info"]["bind"] == "STB_GLOBAL"]
    labels = [symbol for symbol in here if symbol.name.startswith("label_")]
    depths = [
        (address + symbol["st_value"], int(symbol.name.split("_")[1]))
        for symbol in here
        if symbol.name.startswith("depth_")
    ]
    return Example(
        bytes(code),
        address,
        tuple((address + symbol["st_value"]) % (1 << 64) for symbol in functions),
        tuple((address + symbol["st_value"]) % (1 << 64) for symbol in labels),
        settings.get("isolation", "code+data"),
        settings.get("base", "gs"),
        int(settings.get("table-entries", "0")),
        tuple(
            sorted(
                (address + symbol["st_value"], fact_of(symbol.name))
                for symbol in here
                if symbol.name.startswith("fact_")
            )
        ),
        tuple(sorted(depths)) or (((address, 0),) if "base" not in settings else ()),
    )
