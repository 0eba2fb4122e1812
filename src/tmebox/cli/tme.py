"""`tmebox tme …`: TME-MK as software, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from rich.table import Table

from tmebox.cli.output import examples, printable, stdout

tme = typer.Typer(
    name="tme",
    no_args_is_help=True,
    help="Look into TME-MK: a tour of the model, and what an access does.",
    epilog=examples(
        "tmebox tme lab", "tmebox tme lab --html tour.html", "tmebox tme explain 0x1040 --key-id 3"
    ),
)

Rule = Literal["paper", "specification"]


def _number(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number: give one such as 4160 or 0x1040") from None
    if value < 0:
        raise typer.BadParameter("an address is not negative")
    return value


def _one_of(values: tuple[str, ...]):  # type: ignore[no-untyped-def]
    def check(value: str) -> str:
        if value not in values:
            raise typer.BadParameter(f"{value!r}: expected one of {', '.join(values)}")
        return value

    return check


@tme.command("lab", epilog=examples("tmebox tme lab", "tmebox tme lab --html tour.html"))
def lab(
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the tour as one web page instead.")
    ] = None,
    detection: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            callback=_one_of(get_args(Rule)),
            help='What checks MACs: "paper", only reads; or "specification", ownership reads too.',
        ),
    ] = "paper",
) -> None:
    """Run the paper's figures and the attacks on the model, and say after each step what every layer saw.

    Timing is not modelled, and machine checks come at once.
    """
    from tmebox.tme.lab.page import page
    from tmebox.tme.lab.tour import tour

    steps = tour(detection)  # type: ignore[arg-type]
    if html is not None:
        html.write_text(page(steps), encoding="utf-8")
        stdout().print(f"The tour is at {printable(str(html))}")
        return
    out = stdout()
    for number, step in enumerate(steps, 1):
        out.print(f"\n[bold]{number}. {printable(step.title)}[/]")
        out.print(printable(step.says))
        out.print(f"[cyan]  {printable(step.code)}[/]")
        out.print(f"  [bold]→[/] {printable(step.found)}")
        layers = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
        for layer, text in step.observed.layers.items():
            layers.add_row(f"  [dim]{layer}[/]", printable(text))
        out.print(layers)


@tme.command("explain", epilog=examples("tmebox tme explain 0x1040 --key-id 3"))
def explain(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A physical address, without KeyID.")],
    key_id: Annotated[int, typer.Option("--key-id", metavar="K", min=0, help="The KeyID of the access.")] = 0,
    key_id_bits: Annotated[int, typer.Option(metavar="N", help="KeyID bits of the machine.")] = 6,
    algorithm: Annotated[str, typer.Option(metavar="NAME", help="Of every KeyID.")] = "aes-xts-128-integrity",
    physical_bits: Annotated[int, typer.Option(metavar="N", help="MAXPHYADDR.")] = 52,
) -> None:
    """Say what an access to an address under a KeyID does, step by step.

    The machine is a fresh one of 64 MiB, where the line was stored through this KeyID.
    """
    from tmebox import tme as model
    from tmebox.tme.explain import explain as facts_of

    place = _number(address)
    machine = model.Machine("64MiB", key_id_bits, algorithm, physical_bits=physical_bits)
    machine.activate()
    if key_id:
        machine.pconfig(key_id, "random")
    if place < machine.options.memory:
        machine.direct_store(place - place % 64, bytes(64), key_id=key_id)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for fact in facts_of(machine, place, key_id):
        table.add_row(printable(fact.where), printable(fact.what))
    stdout().print(table)
