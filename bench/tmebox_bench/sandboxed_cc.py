"""`python -m tmebox_bench.sandboxed_cc`: `tmebox cc`, but a program is linked in several placements."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tmebox.errors import TmeboxError
from tmebox.modulefile import codec
from tmebox.toolchain.build import compile_object, link_program
from tmebox.toolchain.cc.command_line import parse
from tmebox.toolchain.cc.driver import ANSWERS, main_cc
from tmebox.toolchain.cc.launcher import launcher
from tmebox.toolchain.scratch import scratch_directory
from tmebox_bench.native_cc import placements


def main(argv: Sequence[str]) -> int:
    """Returns the exit code. Messages go to stderr."""
    code = main_cc(argv)
    if code or any(word in ANSWERS for word in argv):
        return code
    command = parse(argv)
    others = placements(command.output or Path("a.out"))[1:]
    if command.mode != "link" or not others:
        return 0
    try:
        with scratch_directory() as scratch:
            objects: list[Path] = []
            archives: list[Path] = []
            for index, path in enumerate(command.inputs):
                if path in command.sources:
                    compile_object(path, scratch / f"{index}.o", command.options)
                    objects.append(scratch / f"{index}.o")
                else:
                    (archives if path.suffix == ".a" else objects).append(path)
            for number, path in enumerate(others, 1):
                options = replace(command.options, placement=number)
                codec.write(link_program(objects, archives, options), path, launcher=launcher())
    except (TmeboxError, OSError) as error:
        print(f"sandboxed cc: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
