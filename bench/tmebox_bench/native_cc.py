"""`python -m tmebox_bench.native_cc`: a C compiler for native programs that are compared with sandboxed ones.

It takes the options of `tmebox cc`, and has the same compiler and the same C library: the guest's, not
instrumented. What differs from a sandboxed build is then the sandbox.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tmebox.errors import TmeboxError
from tmebox.toolchain.cc.command_line import STDIN, Command, parse
from tmebox.toolchain.cc.driver import ANSWERS, IMPLICIT_LIBRARIES
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox_bench import native, native_compilers

MODE = "non-PIE"
COMPILER = "clang"
PLACEMENTS_VARIABLE = "TMEBOX_BENCH_PLACEMENTS"
"""Environment variable: in how many orders of its functions a program is linked. See ADR 16."""


def main(argv: Sequence[str]) -> int:
    """Returns the exit code. Messages go to stderr."""
    try:
        asked = [argument for argument in argv if argument in ANSWERS]
        if asked:
            print(ANSWERS[asked[0]])
            return 0
        return _run(parse(argv))
    except (TmeboxError, OSError) as error:
        print(f"native cc: error: {error}", file=sys.stderr)
        return 1


def _run(command: Command) -> int:
    if command.mode in ("-E", "-M"):
        for source in command.sources:
            finished = clang.run("clang", [*_words(command, source), command.mode], ANYWHERE)
            sys.stderr.write(finished.messages)
            if finished.status:
                return finished.status
            _write(finished.output, command.output)
        return 0
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        inputs: list[Path] = []
        for index, path in enumerate(command.inputs):
            if path not in command.sources:
                inputs.append(path)
                continue
            kept = command.mode != "link"
            made = command.output if kept and command.output else Path(path.name).with_suffix(".o")
            output = made if kept else Path(scratch) / f"{index}.o"
            finished = clang.run("clang", [*_words(command, path), "-c", "-o", str(output)], ANYWHERE)
            sys.stderr.write(finished.messages)
            if finished.status:
                return finished.status
            inputs.append(output)
        if command.mode == "link":
            library = native.native_libc(MODE, COMPILER)
            output = command.output or Path("a.out")
            objects = [*inputs, *_libraries(command)]
            for number, path in enumerate(placements(output)):
                native.link_native(objects, path, MODE, library, number)
    return 0


def placements(output: Path) -> list[Path]:
    """A program's files, one for each order of its functions that is asked for."""
    count = int(os.environ.get(PLACEMENTS_VARIABLE, "1"))
    return [output, *(output.with_name(f"{output.name}.{number}") for number in range(1, count))]


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text)


def _words(command: Command, source: Path) -> list[str]:
    """Options, and the source. Code is compiled as for a sandbox, without what only a sandbox needs."""
    chosen, options = native_compilers.COMPILERS[COMPILER], command.options
    words = [*chosen.code_flags, *native_compilers.MODES[MODE], "-O0", *options.flags]
    words += [f"-I{path}" for path in options.include_dirs]
    words += [word for option, path in options.search for word in (option, str(path))]
    words += [f"-isystem{path}" for path in native.libc_sources.include_dirs(chosen.base)]
    words += ["-nostdinc", "-Qunused-arguments"]
    if (wanted := command.dependencies).wanted and command.mode != "-M":
        words += ["-MD" if wanted.system else "-MMD", *(["-MF", str(wanted.file)] if wanted.file else [])]
        words += [word for target in wanted.targets for word in ("-MT", target)]
    if source == STDIN:
        words += ["-x", command.languages[STDIN]]
    return [*words, str(source)]


def _libraries(command: Command) -> list[Path]:
    """Archives of -l; the guest's C library stands for what is implicit. Raises OSError."""
    found = []
    for name in command.libraries:
        paths = [directory / f"lib{name}.a" for directory in command.library_dirs]
        archive = next((path for path in paths if path.is_file()), None)
        if archive is not None:
            found.append(archive)
        elif name not in IMPLICIT_LIBRARIES:
            raise FileNotFoundError(2, "no such library", name)
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
