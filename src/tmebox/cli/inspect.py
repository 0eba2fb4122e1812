"""`tmebox inspect FILE`: what a module offers and needs, and what became of its instructions."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tmebox.cli.output import plain, printable, progress, size, stdout

if TYPE_CHECKING:
    from tmebox.modulefile.file import ModuleFile


def inspect(
    file: Annotated[
        Path, typer.Argument(help="A module (.tbx), or a C file to compile first.", metavar="FILE")
    ],
    function: Annotated[
        str | None,
        typer.Option(
            "--function",
            "-f",
            metavar="NAME",
            help="Show this function's machine code; of a C file, its assembly before and after.",
        ),
    ] = None,
) -> None:
    """Show a module's exports with their prototypes, its imports and its sizes; or one function's code."""
    from tmebox.cli.program import SOURCE_SUFFIXES, assembly, read_program

    out = stdout()
    if function is not None and file.suffix in SOURCE_SUFFIXES:
        before, after = assembly(file)
        _show_side_by_side(out, before, after, function)
        return
    with progress() as report:
        module = read_program(file, report=report)
    if function is None:
        _show_summary(out, file, module)
    else:
        _show_function(out, module, function)


def _show_summary(out: Console, file: Path, module: ModuleFile) -> None:
    read_only = sum(segment.size_bytes for segment in module.segments if not segment.writable)
    writable = sum(segment.size_bytes for segment in module.segments if segment.writable)
    targets = f"{module.table_entries:,} targets of jumps, behind the code"
    tables = {"tables": targets} if module.table_entries else {}
    facts = {
        "module": str(file),
        "isolation": f"{module.isolation}, base in {module.base}",
        "code": size(module.code_bytes),
        **tables,
        "data": f"{size(read_only)} read-only, {size(writable)} writable",
        "kind": "library" if module.start is None else "command (has main)",
        "made by": module.producer,
    }
    for name, value in facts.items():
        out.print(f"{name:<10} {printable(value)}", soft_wrap=True)
    for heading, entries in (("exports", module.exports), ("imports", module.imports)):
        out.print(f"\n[bold]{heading}[/] ({len(entries)})")
        for entry in entries:
            out.print(f"  {printable(str(entry.prototype or entry.name))}", soft_wrap=True)


def _show_side_by_side(out: Console, before: str, after: str, name: str) -> None:
    from tmebox.cli.sidebyside import function_lines, function_names, side_by_side

    source, instrumented = function_lines(before, name), function_lines(after, name)
    if not source:
        raise _unknown_function(name, function_names(before))
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("compiler", no_wrap=True)
    table.add_column("instrumented", no_wrap=True)
    for pair in side_by_side(source, instrumented):
        style = "" if pair.source.split() == pair.instrumented.split() else "green"
        table.add_row(_assembly(pair.source), _assembly(pair.instrumented, style))
    out.print(table)
    out.print(f"\n{_count(source)} instructions became {_count(instrumented)}")


def _unknown_function(name: str, known: list[str]) -> typer.BadParameter:
    close = get_close_matches(name, known, n=5, cutoff=0.4) or sorted(known)[:5]
    listed = f"; known: {', '.join(map(plain, close))}{' …' * (len(known) > len(close))}" if known else ""
    message = f"there is no function {name!r} (static ones may have become part of others){listed}"
    return typer.BadParameter(message, param_hint="--function")


def _assembly(line: str, style: str = "") -> Text:
    return Text(plain(line.expandtabs(8)), style=style)


def _count(lines: list[str]) -> int:
    return sum(not line.rstrip().endswith(":") for line in lines)


def _show_function(out: Console, module: ModuleFile, name: str) -> None:
    from tmebox.cli.listing import list_function

    found = [symbol for symbol in module.symbols if symbol.name == name]
    if not found:
        raise _unknown_function(name, [symbol.name for symbol in module.symbols])
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    for heading in ("address", "bytes", "instruction", "part of"):
        table.add_column(heading, no_wrap=True)
    lines = list_function(module, found[0])
    for line in lines:
        table.add_row(
            f"{line.address:#x}",
            Text(line.bytes_hex, "dim"),
            Text(line.text),
            Text(plain(line.note), "green"),
        )
    out.print(table)
    out.print(f"\n{len(lines)} instructions, {found[0].size_bytes} bytes")
