"""The `tmebox` command. `cc` and `ar` are handled before anything else is imported: builds start them
thousands of times, and their arguments must arrive as they were typed."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command in `sys.argv` and return its exit code."""
    tool, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if tool == "cc":
        from tmebox.toolchain.driver import main_cc

        return main_cc(arguments)
    if tool == "ar":
        from tmebox.toolchain.archive import main_ar

        return main_ar(arguments)
    from tmebox.cli.app import main as main_app

    return main_app()


if __name__ == "__main__":
    sys.exit(main())
