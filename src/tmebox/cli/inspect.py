"""`tmebox inspect FILE`: what a module offers and needs, and what became of its instructions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tmebox.cli.output import plain, printable, progress, size, stdout
from tmebox.shown import some_of

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
            print(f"  {plain(str(entry.prototype or entry.name))}")


def _show_side_by_side(out: Console, before: str, after: str, name: str) -> None:
    from tmebox.cli.sidebyside import function_lines, function_names, side_by_side

    source, instrumented = function_lines(before, name), function_lines(after, name)
    if not source:
        raise _unknown_function(name, function_names(before))
    if max(len(source), len(instrumented)) > MOST_COMPARED:
        raise typer.BadParameter(
            f"{name} has {len(instrumented):,} lines of assembly, of which at most {MOST_COMPARED:,} can be "
            "compared: compile it, and inspect the module",
            param_hint="--function",
        )
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("compiler", no_wrap=True)
    table.add_column("instrumented", no_wrap=True)
    for pair in side_by_side(source, instrumented):
        style = "" if pair.source.split() == pair.instrumented.split() else "green"
        table.add_row(_assembly(pair.source), _assembly(pair.instrumented, style))
    out.print(table)
    out.print(f"\n{_count(source)} instructions became {_count(instrumented)}")


def _unknown_function(name: str, known: list[str]) -> typer.BadParameter:
    close = get_close_matches(name, known[:MOST_LOOKED_AT], n=5, cutoff=0.4) or sorted(known)[:5]
    listed = f"; known: {some_of(close)}{' …' * (len(known) > len(close))}" if known else ""
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
    lines = list_function(module, found[0])
    rows = ((f"{line.address:#x}", line.bytes_hex, line.text, plain(line.note)) for line in lines)
    count = 0
    for row in _aligned(out, rows):
        print(row)
        count += 1
    out.print(f"\n{count - 1} instructions, {found[0].size_bytes} bytes")


def _aligned(out: Console, rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A heading, and the rows as they come, which may be hundreds of millions; a table of rich's would hold
    all of them. Columns are as wide as the first rows need."""
    first = list(islice(rows, MOST_MEASURED))
    widths = [max(map(len, column)) for column in zip(HEADINGS, *first, strict=True)]
    widths[-1] = 0
    yield _row(HEADINGS, widths, [_codes(out, "bold")] * len(HEADINGS))
    codes = [_codes(out, style) for style in STYLES]
    for row in chain(first, rows):
        yield _row(row, widths, codes)


def _row(cells: Iterable[str], widths: list[int], codes: list[tuple[str, str]]) -> str:
    each = zip(cells, widths, codes, strict=True)
    shown = (
        f"{before}{cell:<{width}}{after}" if cell else " " * width for cell, width, (before, after) in each
    )
    return "   ".join(shown).rstrip()


def _codes(out: Console, style: str) -> tuple[str, str]:
    """What rich writes before and behind a text of this style; nothing where it writes no colours."""
    with out.capture() as captured:
        out.print(Text("-", style), end="")
    before, _, after = captured.get().partition("-")
    return before, after


HEADINGS = ("address", "bytes", "instruction", "part of")
STYLES = ("", "dim", "", "green")
MOST_MEASURED = 4096
MOST_COMPARED = 5000
"""Lines of a function that stand side by side: what that takes grows with their square."""
MOST_LOOKED_AT = 10_000
"""Names that are compared with one that is not there."""
