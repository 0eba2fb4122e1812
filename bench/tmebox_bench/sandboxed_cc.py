"""`python -m tmebox_bench.sandboxed_cc`: `tmebox cc`, but a program is linked in several placements."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tmebox.errors import TmeboxError
from tmebox.modulefile import codec
from tmebox.toolchain.build import link_program
from tmebox.toolchain.cc.command_line import parse
from tmebox.toolchain.cc.driver import ANSWERS, main_cc
from tmebox.toolchain.cc.launcher import launcher
from tmebox_bench.native_cc import placements


def main(argv: Sequence[str]) -> int:
    """Returns the exit code. Messages go to stderr."""
    code = main_cc(argv)
    if code or any(word in ANSWERS for word in argv):
        return code
    command = parse(argv)
    if command.mode != "link" or command.sources or command.libraries not in ([], ["m"]):
        return 0
    try:
        for number, path in enumerate(placements(command.output or Path("a.out"))[1:], 1):
            options = replace(command.options, placement=number)
            codec.write(link_program(command.inputs, (), options), path, launcher=launcher())
    except (TmeboxError, OSError) as error:
        print(f"sandboxed cc: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
