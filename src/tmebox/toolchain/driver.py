"""`tmebox cc` and `tmebox ar`: stand-ins for a C compiler and an archiver in existing builds.

The link step writes a module file, named exactly as `-o` says. Builds start these commands thousands of
times, so nothing slow is imported before it is needed.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tmebox.errors import CompileError, Diagnostic, TmeboxError
from tmebox.toolchain import clang, makedeps, processes
from tmebox.toolchain.arguments import STDIN, Command, UsageError, parse
from tmebox.toolchain.compile import Compiled, SourceError, language_of, preprocess

NAME = "tmebox cc"
VERSION = "tmebox cc 0.1.0 (clang 19.1.7)\nTarget: x86_64-linux-musl\nThread model: single"
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
}
"""What -l may name without there being such an archive: it is all in libc."""
READABLE_VARIABLE = "TMEBOX_CC_READABLE"
"""Environment variable: more directories, separated by colons, that sources may include from."""

ANSWERS = {
    "--version": VERSION,
    "-v": VERSION,
    "-dumpversion": "19.1.7",
    "-dumpfullversion": "19.1.7",
    "-dumpmachine": "x86_64-linux-musl",
    "-print-multi-os-directory": ".",
    "-print-multiarch": "x86_64-linux-musl",
    "-print-search-dirs": "programs: =\nlibraries: =",
    "-print-libgcc-file-name": "libgcc.a",
    "-print-resource-dir": "",
    "-print-sysroot": "",
    "--help": f"usage: {NAME} [options] file...\n"
    "  A C compiler's options, and of its own:\n"
    "  --export NAME              a function that the host may call (may be repeated;\n"
    "                             default: every non-static function of the named sources)\n"
    "  --isolation code+data|data  what the module's code is confined in (default: code+data)\n"
    "  --base gs|r15              which register holds the base of its memory (r15 needs gcc)\n"
    f"  {READABLE_VARIABLE}=DIR:…    more directories that sources may include from\n"
    "The link step writes a module: run it with `tmebox run`, or load it with tmebox.Module.load.",
}
"""Options that print something and end."""


def main_cc(argv: Sequence[str]) -> int:
    """Run `tmebox cc` with these arguments; returns the exit code. Messages go to stderr."""
    for argument in argv:
        if argument.startswith(("-print-prog-name=", "-print-file-name=")):
            print(argument.partition("=")[2])
            return 0
    asked = [argument for argument in argv if argument in ANSWERS]
    if asked and all(argument in ANSWERS or argument.startswith("-") for argument in argv):
        print(ANSWERS[asked[0]], file=sys.stderr if asked[0] == "-v" else sys.stdout)
        return 0
    try:
        return _run(parse(argv, os.environ.get(READABLE_VARIABLE, "")))
    except UsageError as error:
        return _fail(str(error))
    except SourceError as error:
        sys.stderr.write(error.messages)
        _hint(error.diagnostics)
        return 1
    except CompileError as error:
        for item in error.diagnostics:
            print(item if item.file else f"{NAME}: {item}", file=sys.stderr)
        return _fail(str(error).splitlines()[0])
    except TmeboxError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or ''}: {error.strerror}")
    except KeyboardInterrupt:
        return 130


def _fail(message: str) -> int:
    print(f"{NAME}: error: {message}", file=sys.stderr)
    return 1


def _hint(found: tuple[Diagnostic, ...]) -> None:
    """Say why a header that exists is not found. Not in CompileError: the source's author may read those."""
    for item in found:
        match = re.fullmatch(r"'(.+)' file not found.*", item.message)
        if match and (Path(item.file or "").parent / match[1]).exists():
            print(
                f"{NAME}: note: {match[1]} exists, outside the directories that this source may read: "
                f"the current one, the source's, and those given with -I or {READABLE_VARIABLE}",
                file=sys.stderr,
            )


def _run(command: Command) -> int:
    for path in command.inputs:
        if path != STDIN and not path.exists():
            raise UsageError(f"no such file: '{path}'")
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        if STDIN in command.inputs:
            _read_stdin(command, Path(scratch))
        if command.mode == "link":
            return _link(command, Path(scratch))
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
    if command.mode == "-S":
        compiled, _ = instrument(source, command.options, language=language)
        output.write_text(compiled.text, encoding="utf-8", errors="surrogateescape")
    else:
        compiled = compile_object(source, output, command.options, language=language)
    sys.stderr.write(compiled.messages)
    _write_dependencies(command, compiled, _object_of(source) if command.mode == "link" else output)


def _write_dependencies(command: Command, compiled: Compiled, output: Path) -> None:
    wanted = command.dependencies
    if not wanted.wanted:
        return
    rule = _rule(command, compiled, str(output))
    if wanted.file == STDIN:
        sys.stdout.write(rule)
    else:
        (wanted.file or output.with_suffix(".d")).write_text(rule, errors="surrogateescape")


def _rule(command: Command, compiled: Compiled, target: str) -> str:
    wanted = command.dependencies
    hidden = () if wanted.system else tuple(str(path) for path in clang.system_dirs())
    return makedeps.rule(wanted.targets or [target], compiled.dependencies, hidden, phony=wanted.phony)


def _preprocess(command: Command, source: Path) -> None:
    language = command.languages.get(source) or language_of(source)
    extra = tuple(command.preprocessor_flags)
    compiled = preprocess(source, command.options, extra=extra, language=language)
    sys.stderr.write(compiled.messages)
    if command.mode == "-M":
        text, target = _rule(command, compiled, _object_of(source).name), command.dependencies.file
    else:
        text, target = compiled.text, None
        _write_dependencies(command, compiled, command.output or _object_of(source))
    target = target or command.output
    if target is None or target == STDIN:
        sys.stdout.write(text)
    else:
        target.write_text(text, encoding="utf-8", errors="surrogateescape")


def _link(command: Command, scratch: Path) -> int:
    from tmebox.toolchain.build import link_program

    archives = [path for path in command.inputs if path.suffix == ".a"]
    archives += _libraries(command.libraries, command.library_dirs)
    objects = []
    for index, path in enumerate(command.inputs):
        if path in command.sources:
            output = scratch / f"{index}.o"
            _compile(command, path, output)
            objects.append(output)
        elif path not in archives:
            objects.append(path)
    module = link_program(objects, archives, command.options, progress=_progress())
    module.write(command.output or "a.out")
    return 0


def _libraries(names: Sequence[str], directories: Sequence[Path]) -> list[Path]:
    found = []
    for name in names:
        paths = (directory / f"lib{name}.a" for directory in directories)
        path = next((path for path in paths if path.exists()), None)
        if path is not None:
            found.append(path)
        elif name not in IMPLICIT_LIBRARIES:
            raise UsageError(f"cannot find -l{name}: no lib{name}.a in the directories given with -L")
    return found


def _progress() -> Callable[[str, int, int], None]:
    """Reports the one thing that takes long, building the libc on first use, if someone is watching."""

    def report(stage: str, done: int, total: int) -> None:
        if stage == "libc" and sys.stderr.isatty():
            end = "\n" if done == total else "\r"
            print(
                f"{NAME}: building the C library, once: {done}/{total}", end=end, file=sys.stderr, flush=True
            )

    return report


# -- tmebox ar ----------------------------------------------------------------------------------------
_OPERATION = re.compile(r"-?(?=[a-zA-Z]*[dmpqrstx])[abcDdfilmNoOpPqrsStuUvVx]+")
"""An operation and its modifiers, in any order (`cq`, `rcu`); not T, which makes a list of paths instead."""


def main_ar(argv: Sequence[str]) -> int:
    """Run `tmebox ar` with these arguments; returns the exit code."""
    arguments = list(argv)
    try:
        if arguments[:1] in (["--version"], ["-V"]):
            return processes.run([clang.toolchain_dir() / "zig", "ar", "--version"]).status
        if not arguments or not _OPERATION.fullmatch(arguments[0]):
            raise UsageError("usage: tmebox ar [-]{dmpqrstx}[modifiers] archive [file...]")
        refused = [item for item in arguments[1:] if item.startswith(("-", "@"))]
        if refused:
            raise UsageError(f"unsupported argument {refused[0]!r}")
        return processes.run([clang.toolchain_dir() / "zig", "ar", *arguments]).status
    except TmeboxError as error:
        print(f"tmebox ar: error: {error}", file=sys.stderr)
        return 1
