"""Objects and archives to a module file: link, find imports, link again with their stubs, read the result."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tmebox import abi
from tmebox.errors import CompileError, Diagnostic, ModuleError
from tmebox.modulefile import Export, Import, ModuleFile, Segment, Symbol
from tmebox.toolchain import clang, diagnostics, linked, script
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.dwarf import Dwarf
from tmebox.toolchain.lines import read_lines
from tmebox.toolchain.linked import Elf
from tmebox.toolchain.options import DEFAULT_OPTIONS, CompileOptions
from tmebox.toolchain.relocate import Claims, relocate

INITIALIZE = "__tmebox_initialize"
"""What a library that uses libc runs once per sandbox; a member of libc.a."""
START = "_start"
PRODUCER = "tmebox 0.1.0, clang 19.1.7"


@dataclass(frozen=True)
class _Wanted:
    """Exports by name, with the symbol that each is; and whether the objects are a program with `main`."""

    symbols: dict[str, str]
    is_command: bool


def link(
    objects: Sequence[Path],
    archives: Sequence[Path],
    options: CompileOptions = DEFAULT_OPTIONS,
    *,
    start_object: Path | None = None,
    implicit_archives: Sequence[Path] = (),
) -> ModuleFile:
    """Link instrumented objects into a module.

    Functions that nobody defines become imports. Exports come from `objects` alone. `start_object` is linked
    in if one of the objects or archives defines `main`; `implicit_archives` (libc) come last.
    Raises CompileError, with the linker's messages or naming what a sandbox cannot have.
    """
    if not objects and not archives:
        raise CompileError(f"{options.name}: nothing to link")
    wanted = _wanted(objects, options)
    inputs = [*objects, *archives, *implicit_archives]
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch_name:
        scratch = Path(scratch_name)
        session = _Session(scratch, inputs, options)
        is_command = start_object is not None and (
            wanted.is_command or session.archive_defines_main(archives)
        )
        if is_command and start_object is not None:
            session.inputs.insert(0, start_object)
        roots = [*wanted.symbols.values(), *([START] if is_command else [])]
        executable = session.run(roots, final=False)
        if not is_command and _has_constructors(executable):
            if not implicit_archives:
                raise CompileError(f"{options.name} has constructors, which need libc to run them")
            roots.append(INITIALIZE)
            executable = session.run(roots, final=False)
        imports = _imports(executable)
        if imports:
            stubs = scratch / "imports.o"
            assemble(_stubs(imports), stubs, file="import stubs", limits=options.limits)
            session.inputs.insert(0, stubs)
            executable = session.run(roots, final=True)
        return _module(executable, wanted, imports, options, is_command)


class _Session:
    """Runs of the linker over the same inputs."""

    def __init__(self, scratch: Path, inputs: Sequence[Path], options: CompileOptions) -> None:
        self.scratch = scratch
        self.inputs = list(inputs)
        self.options = options

    def run(self, roots: Sequence[str], *, final: bool) -> Elf:
        script_path = self.scratch / "module.ld"
        script_path.write_text(script.linker_script(roots), encoding="utf-8", errors="surrogateescape")
        output = self.scratch / "linked"
        arguments = [
            "-m", "elf_x86_64", "-static", "--no-dynamic-linker", "--emit-relocs", "--gc-sections",
            "-z", "norelro", "-z", "nognustack", "--no-eh-frame-hdr", "--build-id=none", "--no-relax",
            "--discard-locals", "--error-limit=50", "--color-diagnostics=never",
            "-T", str(script_path), "-o", str(output),
            "--unresolved-symbols=report-all" if final else "--unresolved-symbols=ignore-all",
            *(os.path.abspath(path) for path in self.inputs),
        ]  # fmt: skip
        finished = clang.run("ld.lld", arguments, self.options.limits)
        if finished.status != 0:
            found = diagnostics.errors(diagnostics.parse_lld(finished.messages))
            raise CompileError(
                f"{self.options.name} does not link",
                found or (Diagnostic(finished.messages.strip()[-2000:]),),
            )
        return Elf(output.read_bytes(), self.options.name)

    def archive_defines_main(self, archives: Sequence[Path]) -> bool:
        """Whether an archive on the command line has `main` (its symbol index says so)."""
        return any(b"main" in _archive_index(path) for path in archives)


def _archive_index(path: Path) -> frozenset[bytes]:
    """The names in the symbol index (first member, "/") of a Unix archive."""
    with path.open("rb") as file:
        head = file.read(8 + 60)
        if head[:8] != b"!<arch>\n" or head[8:24].rstrip() != b"/":
            return frozenset()
        try:
            data = file.read(min(int(head[56:66]), 64 << 20))
        except ValueError:
            return frozenset()
    count = int.from_bytes(data[:4], "big")
    return frozenset(data[4 + 4 * count :].split(b"\0"))


def _wanted(objects: Sequence[Path], options: CompileOptions) -> _Wanted:
    """What to export: what the options name, else what the sources mark, else every non-static function."""
    marked: dict[str, str] = {}
    every: dict[str, str] = {}
    is_command = False
    for path in objects:
        elf = Elf(path.read_bytes(), str(path))
        symbols = elf.symbols
        for index in np.flatnonzero(
            ((symbols["info"] & 15) == linked.STT_FUNC) & (symbols["section"] != linked.SHN_UNDEF)
        ).tolist():
            name = elf.symbol_name(index)
            binding, visibility = int(symbols["info"][index]) >> 4, int(symbols["other"][index]) & 3
            section = int(symbols["section"][index])
            section_name = elf.sections[section].name if section < len(elf.sections) else ""
            if section_name.startswith(script.EXPORT_SECTION_PREFIX):
                marked[section_name[len(script.EXPORT_SECTION_PREFIX) :]] = name
            elif visibility == linked.STV_PROTECTED:
                marked[name] = name
            elif binding != linked.STB_LOCAL and visibility == linked.STV_DEFAULT:
                every[name] = name
            is_command |= name == "main" and binding != linked.STB_LOCAL
    if options.exports is not None:
        known = {**{name: name for name in options.exports}, **marked}
        return _Wanted({name: known[name] for name in options.exports}, is_command)
    return _Wanted(marked or every, is_command)


def _has_constructors(executable: Elf) -> bool:
    symbols = {executable.symbol_name(index): index for index in _absolute_or_data(executable)}
    first, end = (int(executable.symbols["value"][symbols[name]]) for name in script.CONSTRUCTORS)
    return first != end


def _absolute_or_data(executable: Elf) -> list[int]:
    """Indices of symbols that are not functions: the linker script's are among them."""
    found: list[int] = np.flatnonzero((executable.symbols["info"] & 15) == linked.STT_NOTYPE).tolist()
    return found


def _imports(executable: Elf) -> list[str]:
    """Names of undefined functions, sorted. Raises CompileError for undefined data."""
    symbols = executable.symbols
    undefined = (symbols["section"] == linked.SHN_UNDEF) & ((symbols["info"] >> 4) == linked.STB_GLOBAL)
    names = {index: executable.symbol_name(index) for index in np.flatnonzero(undefined).tolist()}
    if len(names) > abi.MAX_IMPORTS:
        raise CompileError(
            f"{len(names)} undefined functions; a module has at most {abi.MAX_IMPORTS} imports"
        )
    return sorted(names.values())


def _stubs(imports: Sequence[str]) -> str:
    """One stub per import: its index in r11d, then the host-call gate."""
    lines = ["\t.text"]
    for index, name in enumerate(imports):
        quoted = script.quote(name)
        lines += [
            f'\t.section ".text.import.{index}","ax",@progbits',
            f"\t.globl {quoted}",
            f"\t.type {quoted},@function",
            f"{quoted}:",
            f"\tmovl ${index}, %r11d",
            "\tjmp __tmebox_gate_hostcall",
            f"\t.size {quoted}, .-{quoted}",
        ]
    return "\n".join(lines) + "\n"


def _module(
    executable: Elf, wanted: _Wanted, imports: Sequence[str], options: CompileOptions, is_command: bool
) -> ModuleFile:
    text = executable.section(".text")
    if text is None:
        raise CompileError(f"{options.name}: no code")
    if text.size_bytes > abi.TEXT_MAX:
        raise CompileError(
            f"{options.name}: {text.size_bytes >> 20} MiB of code; at most {abi.TEXT_MAX >> 20}"
        )
    addresses = _defined(executable)
    missing = [name for name, symbol in wanted.symbols.items() if symbol not in addresses]
    if missing:
        raise CompileError(f"{options.name}: cannot export {', '.join(missing)}: no such function")
    dwarf = Dwarf(executable)
    by_symbol = dwarf.prototypes({*wanted.symbols.values(), *imports})
    exports = {
        name: Export(name, addresses[symbol], by_symbol.get(symbol))
        for name, symbol in wanted.symbols.items()
    }
    if not is_command and INITIALIZE in addresses:
        exports.setdefault(INITIALIZE, Export(INITIALIZE, addresses[INITIALIZE]))
    start = addresses.get(START) if is_command else None
    entries = [export.address for export in exports.values()] + ([] if start is None else [start])
    claims: Claims = relocate(executable, entries)
    try:
        module = ModuleFile(
            isolation=options.isolation,
            base=options.base,
            text_address=text.address,
            text=claims.patched_text,
            segments=_segments(executable),
            exports=tuple(exports.values()),
            imports=tuple(Import(name, by_symbol.get(name)) for name in imports),
            functions=claims.functions,
            labels=claims.labels,
            relocations=claims.relocations,
            symbols=_functions(executable, text.address, text.address + text.size_bytes),
            lines=read_lines(executable, text.address, text.address + text.size_bytes),
            start=start,
            debug_frame=executable.contents(".debug_frame"),
            producer=PRODUCER,
            debug_sections=_debug_sections(executable) if options.debug else (),
        )
        module.check()
    except ModuleError as error:
        raise CompileError(f"{options.name} cannot be a module: {error}") from None
    return module


def _defined(executable: Elf) -> dict[str, int]:
    """Address of each function in the text, by name; a global one hides local ones."""
    symbols = executable.symbols
    chosen = ((symbols["info"] & 15) == linked.STT_FUNC) & (symbols["section"] != linked.SHN_UNDEF)
    order = np.flatnonzero(chosen)
    order = order[np.argsort(symbols["info"][order] >> 4, kind="stable")]
    return {executable.symbol_name(index): int(symbols["value"][index]) for index in order.tolist()}


def _functions(executable: Elf, low: int, high: int) -> tuple[Symbol, ...]:
    symbols = executable.symbols
    chosen = ((symbols["info"] & 15) == linked.STT_FUNC) & (symbols["section"] != linked.SHN_UNDEF)
    chosen &= (symbols["value"] >= low) & (symbols["value"] < high)
    found = {
        (int(symbols["value"][index]), int(symbols["size"][index]), executable.symbol_name(index))
        for index in np.flatnonzero(chosen).tolist()
    }
    return tuple(Symbol(*key) for key in sorted(found))


def _segments(executable: Elf) -> tuple[Segment, ...]:
    """The data image: read-only sections, then writable ones, each group one segment of whole pages."""
    groups: dict[bool, list[linked.Section]] = {False: [], True: []}
    for section in executable.sections:
        if not section.loaded or not section.size_bytes:
            continue
        if section.executable:
            if section.name != ".text":
                raise CompileError(f"code in section {section.name}: only .text* sections can hold code")
            continue
        groups[bool(section.flags & linked.SHF_WRITE)].append(section)
    return tuple(_segment(sections, writable) for writable, sections in groups.items() if sections)


def _segment(sections: list[linked.Section], writable: bool) -> Segment:
    start = min(section.address for section in sections)
    start -= start % abi.PAGE_SIZE
    end = max(section.address + section.size_bytes for section in sections)
    filled = max((section.address + len(section.data) for section in sections if section.data), default=start)
    if not abi.IMAGE_START <= start <= end <= abi.PRIVATE_END:
        raise CompileError(f"{(end - start) >> 20} MiB of data do not fit the sandbox's private half")
    data = bytearray(filled - start)
    for section in sections:
        data[section.address - start : section.address - start + len(section.data)] = section.data
    return Segment(start, bytes(data), end - start, writable)


def _debug_sections(executable: Elf) -> tuple[tuple[str, bytes], ...]:
    names = (section.name for section in executable.sections if section.type == linked.SHT_PROGBITS)
    chosen = sorted(name for name in set(names) if name.startswith(".debug_") and name != ".debug_frame")
    return tuple((name, executable.contents(name)) for name in chosen)
