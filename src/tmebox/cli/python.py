"""`tmebox python [FILE]`: run untrusted Python, or talk to it."""

from __future__ import annotations

import codeop
import contextlib
import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmebox.cli.output import EXIT_FAILED, plain
from tmebox.cli.sizes import checked_seconds, checked_size

if TYPE_CHECKING:
    from tmebox.python import Python

BANNER = "MicroPython in a tmebox sandbox: no files, no network, no host. Ctrl-D leaves."
LARGEST = (1 << 63) - 1
LONGEST_CODE = 20
"""Digits of a number that a C long can hold, with its sign."""


def python(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A program; without one, a prompt, or standard input."),
    ] = None,
    command: Annotated[str | None, typer.Option("-c", metavar="CODE", help="Run this text.")] = None,
    interactive: Annotated[bool, typer.Option("-i", help="A prompt afterwards.")] = False,
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="Limit on its objects.", callback=checked_size)
    ] = "32MiB",
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", callback=checked_seconds, help="Stop it after this long."),
    ] = None,
    instructions: Annotated[
        int | None, typer.Option(metavar="COUNT", min=1, help="Stop it after so many instructions.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random numbers start from it.")] = None,
) -> None:
    """Run untrusted Python in a sandbox. It reaches nothing; what it prints is printed."""
    from tmebox.python import OutOfInstructions, Python, PythonError

    source, name = _program(file, command)
    prompt = interactive or (source is None and sys.stdin is not None and sys.stdin.isatty())
    if source is None and not prompt:
        source, name = _text(sys.stdin.buffer.read(), "<stdin>") if sys.stdin is not None else "", "<stdin>"
    with Python(
        memory=memory, timeout=timeout, instructions=instructions, seed=seed, stdout=_show, output="1GiB"
    ) as interpreter:
        if source is not None:
            try:
                interpreter.run(source, filename=name)
            except PythonError as error:
                if error.type == "SystemExit":
                    raise typer.Exit(_exit_code(error.message)) from None
                print(error.traceback, end="", file=sys.stderr)
                if not prompt:
                    raise typer.Exit(EXIT_FAILED) from None
            except OutOfInstructions as error:
                print(error, file=sys.stderr)
                raise typer.Exit(EXIT_FAILED) from None
        if prompt:
            talk(interpreter)


def _program(file: Path | None, command: str | None) -> tuple[str | None, str]:
    if file is not None and command is not None:
        raise typer.BadParameter("a FILE or -c CODE, not both")
    if command is not None:
        return command, "<command>"
    if file is not None:
        return _text(file.read_bytes(), str(file)), file.name
    return None, ""


def _text(data: bytes, name: str) -> str:
    """A program, which is UTF-8 wherever it comes from, as Python has it."""
    try:
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{name}: not UTF-8 ({error.reason} at byte {error.start})") from None


def _exit_code(message: str) -> int:
    """Of SystemExit, as Python has it. The message is the program's: it may look like a number, or be one of
    any length."""
    if not message or message == "None":
        return 0
    if re.fullmatch("-?[0-9]+", message) is None:
        return 1
    number = int(message) if len(message) <= LONGEST_CODE else LARGEST + 1
    return number & 255 if -LARGEST <= number <= LARGEST else 255


def _show(text: str) -> None:
    terminal = sys.stdout is not None and sys.stdout.isatty()
    print(plain(text) if terminal else text, end="", flush=True)


def talk(interpreter: Python) -> None:
    """A prompt: statements are run, values of expressions shown."""
    from tmebox.errors import TmeboxError
    from tmebox.python import PythonError

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (it makes input() editable)
    print(BANNER)
    while True:
        try:
            text = _read()
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print("\nKeyboardInterrupt")
            continue
        try:
            interpreter.interact(text)
        except PythonError as error:
            if error.type == "SystemExit":
                return
            print(error.traceback, end="")
        except KeyboardInterrupt:
            print("\nKeyboardInterrupt")
        except TmeboxError as error:
            print(plain(f"{type(error).__name__}: {error}"))
        if interpreter.ended:
            print("(the interpreter ended; this is a new one)")
            interpreter.reset()


def _read() -> str:
    """Lines of one statement. Only what the user types is looked at here."""
    lines = [input(">>> ")]
    while True:
        text = "\n".join(lines)
        try:
            complete = codeop.compile_command(text) is not None
        except (SyntaxError, ValueError, OverflowError):
            return text  # the sandbox says what is wrong with it
        if complete and (len(lines) == 1 or not lines[-1]):
            return text
        if len(lines) > 1 and not lines[-1] and not complete:
            return text
        lines.append(input("... "))
