"""`tmebox memory show`: who owns which lines of a shared heap."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from tmebox.cli.output import examples, printable, stdout
from tmebox.runtime.heap_picture import HeapPicture
from tmebox.runtime.shared_heap import WATCHERS, SharedHeap, all_heaps

memory = typer.Typer(
    name="memory",
    no_args_is_help=True,
    help="Look into shared heaps: who owns which lines.",
    epilog=examples("tmebox memory show", "tmebox memory show pipeline.py --svg heap.svg"),
)


@memory.command(
    "show", epilog=examples("tmebox memory show", "tmebox memory show pipeline.py --svg heap.svg")
)
def show(
    program: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PROGRAM.py]", exists=True, dir_okay=False, help="A program of yours to run."
        ),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", metavar="PATH", help="Draw: into this directory, or file, of a program."),
    ] = None,
) -> None:
    """Show shared heaps as rows of 64 lines, one for each page, coloured by owner.

    Without PROGRAM.py: three states of a small heap, in the form of figures 3 to 5 of the TME-Box paper.
    With it: the program runs, unconfined, and each of its shared heaps is shown as it is when it is closed,
    or when the program ends, whatever ends it. Print heap.show() in a program to look at a heap anywhere.
    """
    if program is None:
        from tmebox.cli.figures import figures

        pictures = dict(figures())
    else:
        pictures = _of_program(program)
    out = stdout()
    for number, picture in enumerate(pictures.values()):
        if number:
            out.print()
        out.print(picture)
    if not pictures:
        out.print("The program has made no shared heap.")
    if svg is not None:
        _write(svg, pictures)


def _of_program(program: Path) -> dict[str, HeapPicture]:
    pictures: dict[str, HeapPicture] = {}

    def look(heap: SharedHeap, when: str = "when it is closed") -> None:
        name = f"heap {len(pictures) + 1} of {program.name}, {heap.size_bytes:,} bytes"
        pictures[f"heap-{len(pictures) + 1}"] = heap.show(f"{name}, {when}")

    before = sys.argv[:]
    sys.argv[:] = [str(program)]
    WATCHERS.append(look)
    error: BaseException | None = None
    variables = None
    try:
        variables = runpy.run_path(str(program), run_name="__main__")
    except BaseException as raised:  # what is left of the heaps tells why; its frames still refer to them
        error = raised
    finally:
        WATCHERS.remove(look)
        sys.argv[:] = before
    for heap in all_heaps():
        if not heap.closed:
            look(heap, "when the program ends")
    del variables
    if error is not None and not (isinstance(error, SystemExit) and not error.code):
        for picture in pictures.values():
            stdout().print(picture)
        raise error
    return pictures


def _write(path: Path, pictures: dict[str, HeapPicture]) -> None:
    from tmebox.outputs import write_output

    if path.suffix == ".svg" and len(pictures) == 1:
        (picture,) = pictures.values()
        write_output(path, picture.svg().encode())
        files = [path]
    else:
        if path.suffix == ".svg":
            raise typer.BadParameter(
                f"there are {len(pictures)} pictures: name a directory", param_hint="--svg"
            )
        path.mkdir(parents=True, exist_ok=True)
        files = [path / f"{name}.svg" for name in pictures]
        for file, picture in zip(files, pictures.values(), strict=True):
            write_output(file, picture.svg().encode())
    for file in files:
        stdout().print(f"drawn: {printable(str(file))}")
