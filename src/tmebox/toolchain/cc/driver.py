"""`tmebox cc`, `tmebox c++` and `tmebox ar`: stand-ins for compilers and an archiver in existing builds.

The link step writes a module file, named exactly as `-o` says. Builds start these commands thousands of
times, so nothing slow is imported before it is needed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tmebox import progress
from tmebox._version import __version__
from tmebox.errors import CompileError, Diagnostic, TmeboxError
from tmebox.outputs import STDOUT, write_output
from tmebox.shown import printable
from tmebox.toolchain import patterns
from tmebox.toolchain.cc import dependencies as makedeps
from tmebox.toolchain.cc.command_line import STDIN, Command, UsageError, parse
from tmebox.toolchain.cc.messages import show
from tmebox.toolchain.cc.response_files import expand
from tmebox.toolchain.compile import clang
from tmebox.toolchain.compile.compile import Compiled, SourceError, language_of, preprocess
from tmebox.toolchain.link.inputs import extract
from tmebox.toolchain.scratch import scratch_directory

NAME = "tmebox cc"
VERSION = (
    f"{NAME}: clang version {clang.VERSION} (tmebox {__version__})\n"
    f"Target: {clang.TARGET}\nThread model: single"
)
IMPLICIT_LIBRARIES = {
    "c",
    "m",
    "pthread",
    "dl",
    "rt",
    "util",
    "crypt",
    "resolv",
    "xnet",
    "gcc",
    "gcc_s",
    "atomic",
    "stdc++",
    "c++",
    "c++abi",
    "supc++",
    "unwind",
    "gcc_eh",
}
"""What -l may name without there being such an archive: it is all in libc and C++'s library."""
READABLE_VARIABLE = "TMEBOX_CC_READABLE"
"""Environment variable: more directories, separated by colons, that sources may include from."""

OWN_VALUES = {"--isolation", "--base", "--export", "--import"}
"""Options whose values may be words of their own, as in CC="tmebox cc --isolation data"."""

ANSWERS = {
    "--version": VERSION,
    "-v": VERSION,
    "-dumpversion": clang.VERSION,
    "-dumpfullversion": clang.VERSION,
    "-dumpmachine": clang.TARGET,
    "-print-multi-os-directory": ".",
    "-print-multiarch": clang.TARGET,
    "-print-multi-directory": ".",
    "-print-search-dirs": "programs: =\nlibraries: =",
    "-print-libgcc-file-name": "libgcc.a",
    "-print-resource-dir": "",
    "-print-sysroot": "",
    "--help": f"usage: {NAME} [options] file...\n"
    "  A C compiler's options (with `tmebox c++` a C++ compiler's), and of its own:\n"
    "  --export NAME              a function that the host may call (may be repeated;\n"
    "                             default: every non-static function of the named sources)\n"
    "  --import NAME              a function that the host provides (may be repeated)\n"
    "  --isolation code+data|data  what the module's code is confined in (default: code+data)\n"
    "  -Wa,--fatal-warnings       refuse assembly with instructions that no sandbox has, such as\n"
    "                             AVX-512's; else they become traps, with a warning\n"
    "  --base gs|r15              which register holds the base of its memory (r15 needs gcc)\n"
    f"  {READABLE_VARIABLE}=DIR:…    more directories that sources may include from\n"
    "The link step writes a module: run it with `tmebox run`, or load it with tmebox.Module.load.",
}
"""Options that print something and end."""


def main_cc(argv: Sequence[str], *, is_cxx: bool = False) -> int:
    """Run `tmebox cc` or `tmebox c++` with these arguments; returns the exit code. Messages go to stderr."""
    try:
        code = _main(expand(argv), is_cxx)
        patterns.keep()
        return code
    except TmeboxError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(printable(f"{error.filename or ''}: {error.strerror}"))
    except KeyboardInterrupt:
        return 130


def _main(argv: Sequence[str], is_cxx: bool) -> int:
    for argument in argv:
        if argument.startswith(("-print-prog-name=", "-print-file-name=")):
            print(argument.partition("=")[2])
            return 0
    if "-Wl,--version" in argv or "-Wl,-v" in argv:  # as build systems ask which linker there is
        print(f"LLD {clang.VERSION} (compatible with GNU linkers)")
        return 0
    if "-###" in argv:  # which programs would run: ours run none that could be run apart
        print(VERSION, file=sys.stderr)
        return 0
    asked = [argument for argument in argv if argument in ANSWERS]
    if asked and all(
        argument.startswith("-") or before in OWN_VALUES
        for before, argument in zip(["", *argv], argv, strict=False)
    ):
        print(ANSWERS[asked[0]], file=sys.stderr if asked[0] == "-v" else sys.stdout)
        return 0
    try:
        return _run(parse(argv, os.environ.get(READABLE_VARIABLE, ""), is_cxx=is_cxx))
    except SourceError as error:
        show(error.messages)
        _hint(error.diagnostics)
        return 1
    except CompileError as error:
        for item in error.diagnostics:
            print(item if item.file else f"{NAME}: {item}", file=sys.stderr)
        return _fail(str(error).splitlines()[0])


def _fail(message: str) -> int:
    print(f"{NAME}: error: {message}", file=sys.stderr)
    return 1


def _hint(found: tuple[Diagnostic, ...]) -> None:
    """Say why a header that exists is not found. Not in CompileError: the source's author may read those."""
    for item in found:
        match = re.fullmatch(r"'(.+)' file not found.*", item.message)
        if match and (Path(item.file or "").parent / match[1]).exists():
            from shlex import quote

            directory = os.path.realpath(Path(item.file or "").parent / Path(match[1]).parent)
            print(
                f"{NAME}: note: {match[1]} exists, but outside the directories that this source may read: "
                "its own tree, the current one, and those given with -I. To let it, set "
                f"{READABLE_VARIABLE}={quote(directory)} in the environment",
                file=sys.stderr,
            )


def _run(command: Command) -> int:
    for note in dict.fromkeys(command.notes):
        print(f"{NAME}: note: {note}", file=sys.stderr)
    for path in command.inputs:
        if path != STDIN and not path.exists():
            raise UsageError(f"no such file: '{path}'")
    with scratch_directory() as scratch:
        if STDIN in command.inputs:
            _read_stdin(command, scratch)
        if command.mode == "link":
            return _link(command, scratch)
        for source in command.sources:
            if command.mode in ("-E", "-M"):
                _preprocess(command, source)
            else:
                output = command.output or _object_of(source).with_suffix(
                    ".o" if command.mode == "-c" else ".s"
                )
                _compile(command, source, output)
    return 0


def _read_stdin(command: Command, scratch: Path) -> None:
    """Put a file in the place of standard input."""
    language = command.languages.pop(STDIN)
    path = scratch / "stdin"
    path.write_bytes(sys.stdin.buffer.read())
    command.languages[path] = language
    command.inputs = [path if item == STDIN else item for item in command.inputs]


def _object_of(source: Path) -> Path:
    """The object that make expects of a source: in the current directory."""
    return Path(source.name).with_suffix(".o")


def _compile(command: Command, source: Path, output: Path) -> None:
    from tmebox.toolchain.objects import compile_object, instrument

    language = command.languages.get(source)
    if command.output is None:
        _unnamed(output)
    if command.mode == "-S":
        compiled, _ = instrument(source, command.options, language=language)
        write_output(output, _encoded(compiled.text))
    else:
        compiled = compile_object(source, output, command.options, language=language)
    show(compiled.messages)
    _write_dependencies(command, compiled, _object_of(source) if command.mode == "link" else output)


def _encoded(text: str) -> bytes:
    """What a compiler wrote was read like this."""
    return text.encode("utf-8", "surrogateescape")


def _write_dependencies(command: Command, compiled: Compiled, output: Path) -> None:
    wanted = command.dependencies
    if not wanted.wanted:
        return
    rule = _rule(command, compiled, str(output))
    write_output(wanted.file or _unnamed(output.with_suffix(".d")), _encoded(rule))


def _unnamed(output: Path) -> Path:
    """An output that nobody has named. A source tree may bring a link of its name: then that is gone."""
    if output.is_symlink():
        output.unlink()
    return output


def _rule(command: Command, compiled: Compiled, target: str) -> str:
    wanted = command.dependencies
    hidden = () if wanted.system else tuple(str(path) for path in clang.system_dirs())
    return makedeps.rule(wanted.targets or [target], compiled.dependencies, hidden, phony=wanted.phony)


def _preprocess(command: Command, source: Path) -> None:
    language = command.languages.get(source) or language_of(source)
    extra = tuple(command.preprocessor_flags)
    compiled = preprocess(source, command.options, extra=extra, language=language)
    show(compiled.messages)
    if command.mode == "-M":
        text, target = _rule(command, compiled, _object_of(source).name), command.dependencies.file
    else:
        text, target = compiled.text, None
        _write_dependencies(command, compiled, command.output or _object_of(source))
    write_output(target or command.output or STDOUT, _encoded(text))


def _link(command: Command, scratch: Path) -> int:
    from tmebox.modulefile import codec
    from tmebox.toolchain.build import link_program
    from tmebox.toolchain.cc.launcher import launcher
    from tmebox.toolchain.link.undefined import refuse_undefined

    libraries = {name: _library(name, command.library_dirs) for name in command.libraries}
    whole = command.whole_inputs | {libraries[name] for name in command.whole_libraries}
    archives = [path for path in (*command.inputs, *libraries.values()) if path and path.suffix == ".a"]
    objects: list[Path] = []
    for index, path in enumerate(command.inputs):
        if path in command.sources:
            output = scratch / f"{index}.o"
            _compile(command, path, output)
            objects.append(output)
        elif path not in archives:
            objects.append(path)
    # What is taken whole is what its objects would be, had they been named one by one.
    for index, path in enumerate(dict.fromkeys(path for path in archives if path in whole)):
        objects += extract(path, scratch / f"whole{index}")
    link_map = scratch / "map" if command.map_file is not None else None
    with progress.shown("link") as report:
        module = link_program(
            objects,
            [path for path in archives if path not in whole],
            command.options,
            use_start_files=command.use_start_files,
            roots=command.roots,
            link_map=link_map,
            progress=report,
        )
    refuse_undefined(module, objects, [path for path in archives if path not in whole], command.options)
    if command.map_file is not None and link_map is not None:
        write_output(command.map_file, link_map.read_bytes().replace(os.fsencode(f"{scratch}/"), b""))
    starts = launcher() if module.start is not None else b""
    codec.write(module, command.output or _unnamed(Path("a.out")), launcher=starts)
    return 0


def _library(name: str, directories: Sequence[Path]) -> Path | None:
    """The archive of `-lname`, or of `-l:file`; None for what libc contains. Raises UsageError."""
    file = name[1:] if name.startswith(":") else f"lib{name}.a"
    found = next((path for directory in directories if (path := directory / file).is_file()), None)
    if found is not None:
        return found
    if file.startswith("lib") and file.endswith(".a") and file[3:-2] in IMPLICIT_LIBRARIES:
        return None
    if not file.endswith(".a"):
        raise UsageError(f"cannot link -l{name}: a module is linked of archives (.a) and objects only")
    raise UsageError(f"cannot find -l{name}: no {file} in the directories given with -L")
