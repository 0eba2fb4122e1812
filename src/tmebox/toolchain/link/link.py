"""Objects and archives to a module file: link, find imports, link again with their stubs, read the result."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

import numpy as np

from tmebox import abi
from tmebox._version import __version__
from tmebox.errors import CompileError, Diagnostic, ModuleError
from tmebox.modulefile.check import check
from tmebox.modulefile.file import Export, Import, ModuleFile, Segment, Symbol
from tmebox.modulefile.prototypes import Prototype
from tmebox.records import replace
from tmebox.toolchain import diagnostics, marks, sections
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.compile import clang, gcc
from tmebox.toolchain.confine import Reach
from tmebox.toolchain.link import fact_claims, frames, linked, script
from tmebox.toolchain.link.debug.lines import read_lines
from tmebox.toolchain.link.debug.prototypes import prototypes
from tmebox.toolchain.link.exports import (
    Exports,
    defined_functions,
    find_exports,
    require_defined,
    same_functions,
)
from tmebox.toolchain.link.imports import marked_imports, numbered, stubbed, stubs, undefined_functions
from tmebox.toolchain.link.inputs import (
    Copies,
    archive_members,
    require_archive,
    require_object,
    require_plain,
)
from tmebox.toolchain.link.linked import Elf
from tmebox.toolchain.link.relocate import Claims, relocate
from tmebox.toolchain.options import DEFAULT_OPTIONS, CompileOptions
from tmebox.toolchain.scratch import scratch_directory

INITIALIZE = "__tmebox_initialize"
"""What a library that uses libc runs once per sandbox; a member of libc.a."""
START = "_start"


def link(
    objects: Sequence[Path],
    archives: Sequence[Path],
    options: CompileOptions = DEFAULT_OPTIONS,
    *,
    start_object: Path | None = None,
    implicit_archives: Sequence[Path] = (),
    roots: Sequence[str] = (),
    link_map: Path | None = None,
    unwinds: bool = False,
) -> ModuleFile:
    """Link instrumented objects into a module.

    Functions that nobody defines become imports; `undefined` says which of them may. Exports come from
    `objects` alone. `start_object` is linked in if one of the objects or archives defines `main`;
    `implicit_archives` (libc) come last. `unwinds`: keep the tables by which exceptions find their handlers.
    `roots`: symbols to link, whoever refers to them. `link_map`: a file in which the linker describes what
    lies where.
    Raises CompileError, with the linker's messages or naming what a sandbox cannot have.
    """
    if not objects and not archives:
        raise CompileError(f"{options.name}: nothing to link")
    for path in objects:
        require_object(path)
    archived = frozenset[str]().union(*(require_archive(path) for path in archives))
    with scratch_directory() as scratch:
        copies = Copies(scratch / "objects")
        described = None if link_map is None else scratch / "map"
        session = _Session(scratch, copies, [*objects, *archives], options, described, unwinds)
        session.inputs = [*_copied(objects, archives, options, copies), *map(_absolute, implicit_archives)]
        exports = find_exports(objects, options.exports)
        is_command = start_object is not None and (exports.is_command or "main" in archived)
        if is_command and start_object is not None:
            session.inputs.insert(0, _absolute(start_object))
        roots = [*exports.roots, *map(require_plain, roots), *([START] if is_command else [])]
        marked = marked_imports(objects)
        if marked:  # the linker refuses them where they are undefined, unlike others
            session.add_stubs(dict.fromkeys(marked, 0))
        executable = session.run(roots, final=False)
        if session.adopt_sections(executable):
            executable = session.run(roots, final=False)
        if not is_command and _has_constructors(executable):
            if not implicit_archives:
                raise CompileError(f"{options.name} has constructors, which need libc to run them")
            roots.append(INITIALIZE)
            executable = session.run(roots, final=False)
        require_defined(exports, executable, options.name)
        undefined = undefined_functions(executable, options.name)
        imports = numbered({*undefined, *(marked & stubbed(executable))}, executable)
        if undefined or marked:
            missing = {*undefined, *marked}
            session.add_stubs({name: index for index, name in enumerate(imports) if name in missing})
            executable = session.run(roots, final=True)
        if link_map is not None and described is not None:
            told = copies.named(described.read_text(encoding="utf-8", errors="surrogateescape"))
            link_map.write_text(told, encoding="utf-8", errors="surrogateescape")
        return _module(executable, exports, imports, options, is_command)


def require_marked(contents: bytes, name: str, options: CompileOptions) -> None:
    """Raise CompileError unless an object was made for what the options say."""
    note = Elf(contents, name).contents(marks.SECTION)
    marks.require_mark(note, name, options.isolation, options.base)


def _copied(
    objects: Sequence[Path], archives: Sequence[Path], options: CompileOptions, copies: Copies
) -> Iterator[str]:
    """The linker's arguments for all that was given. Raises CompileError for what is not ours."""

    def copied(contents: bytes, name: str) -> str:
        copy = copies.add(contents, name)
        require_marked(contents, name, options)
        return copy

    for path in objects:
        yield copied(path.read_bytes(), _absolute(path))
    for path in archives:
        yield "--start-lib"
        for name, contents in archive_members(path):
            yield copied(contents, _absolute(path) + name.removeprefix(str(path)))
        yield "--end-lib"


def _absolute(path: Path) -> str:
    return os.path.abspath(path)


def _word(text: str) -> str:
    """As a response file has it."""
    return re.sub(r"([\s\\\"'])", r"\\\1", text)


class _Session:
    """Runs of the linker over the same `inputs`. `given`: whose names messages shorten."""

    def __init__(
        self,
        scratch: Path,
        copies: Copies,
        given: Sequence[Path],
        options: CompileOptions,
        link_map: Path | None,
        unwinds: bool,
    ) -> None:
        self.unwinds = unwinds
        self.scratch = scratch
        self.link_map = link_map
        self.inputs: list[str] = []
        self._copies = copies
        self._given = given
        self.options = options
        self.own_sections: dict[bool, list[str]] = {False: [], True: []}
        self.own_code: list[str] = []

    def add_stubs(self, imports: Mapping[str, int]) -> None:
        """Link these stubs, instead of those that were added before."""
        stub_object = self.scratch / "imports.o"
        options = self.options
        assemble(
            stubs(imports, abi.form(options.base, options.isolation)),
            stub_object,
            file="import stubs",
            isolation=options.isolation,
            base=options.base,
            limits=options.limits,
        )
        if str(stub_object) not in self.inputs:
            self.inputs.insert(0, str(stub_object))

    def adopt_sections(self, executable: Elf) -> bool:
        """Whether the program has sections of its own: the linker would place them across our pages, and code
        outside of the text."""
        for section in executable.sections:
            if section.loaded and section.executable and section.name != ".text":
                self.own_code.append(section.name)
            elif section.loaded and section.name not in script.NAMED:
                self.own_sections[bool(section.flags & linked.SHF_WRITE)].append(section.name)
        return any(self.own_sections.values()) or bool(self.own_code)

    def run(self, roots: Sequence[str], *, final: bool) -> Elf:
        script_path = self.scratch / "module.ld"
        text = script.linker_script(
            roots, self.own_sections[False], self.own_sections[True], self.own_code, unwinds=self.unwinds
        )
        script_path.write_text(text, encoding="utf-8", errors="surrogateescape")
        output, listed = self.scratch / "linked", self.scratch / "inputs"
        words = "\n".join(map(_word, self.inputs))
        listed.write_text(words, encoding="utf-8", errors="surrogateescape")
        arguments = [
            "-m", "elf_x86_64", "-static", "--no-dynamic-linker", "--emit-relocs", "--gc-sections",
            "-z", "norelro", "-z", "nognustack", "-z", "nostart-stop-gc",
            "--eh-frame-hdr" if self.unwinds else "--no-eh-frame-hdr",
            "--build-id=none", "--no-relax",
            "--no-dependent-libraries", "--discard-locals", "--error-limit=50", "--color-diagnostics=never",
            "-T", str(script_path), "-o", str(output),
            "--unresolved-symbols=report-all" if final else "--unresolved-symbols=ignore-all",
            *([f"-Map={self.link_map}"] if self.link_map is not None else []),
            *shuffled(self.options.placement),
            f"@{listed}",
        ]  # fmt: skip
        elsewhere = (word for word in self.inputs if word.startswith("/") and str(self.scratch) not in word)
        reach = Reach(reads=tuple(elsewhere), writes=(self.scratch,))
        finished = clang.run("ld.lld", arguments, reach, self.options.limits)
        if finished.status != 0:
            messages = self._copies.named(finished.messages)
            for path in self._given:
                messages = messages.replace(_absolute(path), path.name)
            found = diagnostics.errors(diagnostics.parse_lld(messages))
            last = Diagnostic(messages.strip()[-2000:] or f"the linker ended with status {finished.status}")
            raise CompileError(f"{self.options.name} does not link", found or (last,))
        return Elf(output.read_bytes(), self.options.name)


def shuffled(placement: int) -> list[str]:
    """lld's options for another order of functions."""
    return [f"--shuffle-sections=.text*={placement}"] if placement else []


def _has_constructors(executable: Elf) -> bool:
    first, end = (_scripted(executable, name) for name in script.CONSTRUCTORS)
    return first != end


def _scripted(executable: Elf, name: str) -> int:
    """The value of a symbol of the linker script's. Objects' local ones of its name come before it."""
    symbols = executable.symbols
    indices = np.flatnonzero((symbols["info"] & 15) == linked.STT_NOTYPE).tolist()
    found = (index for index in reversed(indices) if executable.symbol_name(index) == name)
    return int(symbols["value"][next(found)])


def _module(
    executable: Elf, wanted: Exports, imports: Sequence[str], options: CompileOptions, is_command: bool
) -> ModuleFile:
    text = executable.section(".text")
    if text is None or not text.executable:
        raise CompileError(f"{options.name}: no functions, so there is nothing to call")
    if text.size_bytes > abi.TEXT_MAX:
        raise CompileError(
            f"{options.name}: {text.size_bytes >> 20} MiB of code; at most {abi.TEXT_MAX >> 20}"
        )
    addresses = defined_functions(executable)
    by_symbol = _prototypes(executable, {*wanted.symbols.values(), *imports})
    exports = {
        name: Export(name, addresses[symbol], by_symbol.get(symbol))
        for name, symbol in wanted.symbols.items()
    }
    if not is_command and INITIALIZE in addresses:
        exports.setdefault(INITIALIZE, Export(INITIALIZE, addresses[INITIALIZE]))
    start = addresses.get(START) if is_command else None
    entries = [export.address for export in exports.values()] + ([] if start is None else [start])
    tables = _scripted(executable, script.TABLES)
    optional = [_scripted(executable, name) for name in script.OPTIONAL]
    fact_places, facts = fact_claims.collected(
        executable.contents(sections.FACTS), text.address, text.address + text.size_bytes
    )
    depth_places, depths = fact_claims.collected_depths(
        executable.contents(sections.DEPTHS), text.address, text.address + text.size_bytes
    )
    tables_of_frames = frames.absolute(executable)
    claims: Claims = relocate(executable, entries, tables, tables_of_frames)
    labels = claims.labels
    if len(depths):  # there what a call leads to is no label
        labels = np.setdiff1d(labels, claims.functions)
    try:
        module = ModuleFile(
            isolation=options.isolation,
            base=options.base,
            text_address=text.address,
            text=claims.patched_text,
            segments=_segments(executable, tables_of_frames.contents),
            exports=tuple(exports.values()),
            imports=tuple(Import(name, by_symbol.get(name)) for name in imports),
            functions=claims.functions,
            labels=labels,
            relocations=claims.relocations,
            symbols=_functions(executable, text.address, text.address + text.size_bytes),
            lines=read_lines(executable, text.address, text.address + text.size_bytes),
            table_entries=(text.address + text.size_bytes - tables) // abi.TABLE_ENTRY,
            start=start,
            optional=(optional[0], optional[1]) if optional[0] < optional[1] else (0, 0),
            debug_frame=executable.contents(".debug_frame"),
            producer=_producer(options.base),
            debug_sections=_debug_sections(executable) if options.debug else (),
            fact_places=fact_places,
            facts=facts,
            depth_places=depth_places,
            depths=depths,
        )
        check(module)
    except ModuleError as error:
        raise CompileError(f"{options.name} cannot be a module: {error}") from None
    return module


def _prototypes(executable: Elf, names: Set[str]) -> dict[str, Prototype]:
    """By symbol. An alias has no debug information: its prototype is that of the function which it names."""
    found = prototypes(executable, names)
    missing = names - found.keys()
    groups = same_functions(executable, missing)
    behind = prototypes(executable, frozenset[str]().union(*groups))
    for group in groups:
        known = next((behind[other] for other in group if other in behind), None)
        if known is not None:
            found.update({name: replace(known, name=name) for name in missing.intersection(group)})
    return found


def _producer(base: str) -> str:
    compiler = f"gcc {gcc.gcc().version}" if base == "r15" else f"clang {clang.VERSION}"
    return f"tmebox {__version__}, {compiler}"


def _functions(executable: Elf, low: int, high: int) -> tuple[Symbol, ...]:
    symbols = executable.symbols
    chosen = ((symbols["info"] & 15) == linked.STT_FUNC) & (symbols["section"] != linked.SHN_UNDEF)
    chosen &= (symbols["value"] >= low) & (symbols["value"] < high)
    found = {
        (int(symbols["value"][index]), int(symbols["size"][index]), executable.symbol_name(index))
        for index in np.flatnonzero(chosen).tolist()
    }
    return tuple(Symbol(*key) for key in sorted(found))


def _segments(executable: Elf, patched: Mapping[str, bytes]) -> tuple[Segment, ...]:
    """The data image: read-only sections, then writable ones, each group one segment of whole pages.
    `patched`: what sections hold instead of what the linker wrote."""
    groups: dict[bool, list[linked.Section]] = {False: [], True: []}
    for section in executable.sections:
        if not section.loaded or not section.size_bytes:
            continue
        if section.executable:
            continue  # all of it is in .text
        # What only a dynamic linker would write, tables of virtual functions say, is among .rodata.
        is_writable = bool(section.flags & linked.SHF_WRITE) and section.name != script.READ_ONLY
        data = patched.get(section.name)
        groups[is_writable].append(section if data is None else replace(section, data=memoryview(data)))
    return tuple(_segment(sections, writable) for writable, sections in groups.items() if sections)


def _segment(sections: list[linked.Section], writable: bool) -> Segment:
    start = min(section.address for section in sections)
    start -= start % abi.PAGE_SIZE
    end = max(section.address + section.size_bytes for section in sections)
    if not abi.IMAGE_START <= start <= end <= abi.PRIVATE_END:
        raise CompileError(f"{(end - start) >> 20} MiB of data do not fit the sandbox's private half")
    pieces: list[bytes | memoryview] = []  # joined once: a program may have a gigabyte of data
    at = start
    for section in sorted((section for section in sections if section.data), key=lambda one: one.address):
        if section.address < at:
            raise CompileError(f"the section {section.name} lies where another is")
        pieces += [bytes(section.address - at), section.data]
        at = section.address + len(section.data)
    return Segment(start, b"".join(pieces), end - start, writable)


def _debug_sections(executable: Elf) -> tuple[tuple[str, bytes], ...]:
    names = (section.name for section in executable.sections if section.type == linked.SHT_PROGBITS)
    chosen = sorted(name for name in set(names) if name.startswith(".debug_") and name != ".debug_frame")
    return tuple((name, executable.contents(name)) for name in chosen)
