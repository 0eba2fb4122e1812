"""`tmebox demo --backend model`: a shared heap that is cipher text in the DRAM of a machine with TME-MK."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tmebox.cli.output import printable, progress

if TYPE_CHECKING:
    import tmebox

FOLDER = Path(__file__).parent
TEXT = b"tHE SANDBOX SEES ITS OWN BYTES, "
PATIENCE_S = 20
LET_IT_RUN_S = 0.1
_FOLDER_IN_MESSAGE = re.compile(r"[^\s(]*/cli/demo/")


def show_encrypted(out: Console) -> None:
    """Run the steps, and show what each layer has. Raises NotStopped."""
    import tmebox
    from tmebox import abi

    with progress() as report:
        module = tmebox.compile(FOLDER / "encrypted.c", progress=report)
    out.print("[bold]A shared heap in the memory of a machine with TME-MK, as software[/]\n")
    out.print('  [cyan]heap = tmebox.SharedHeap("1MiB", backend="model")[/]')
    out.print("  [cyan]block = heap.allocate(4096, owner=a)[/]\n")
    with (
        tmebox.SharedHeap("1MiB", backend="model") as heap,
        tmebox.Sandbox(module, heap=heap, timeout=PATIENCE_S) as a,
        tmebox.Sandbox(module, heap=heap, timeout=PATIENCE_S) as b,
    ):
        block = heap.allocate(4096, owner=a)
        address = block.offset - abi.SHARED_START
        block.write(TEXT)
        a.swap_case(block, len(TEXT))
        seen = block.read(0, len(TEXT))
        heap.flush()
        stored = bytes(heap.machine.dram[address : address + len(TEXT)])
        if seen != TEXT.swapcase() or stored in (seen, TEXT, bytes(len(TEXT))):
            from tmebox.cli.demo.attacks import NotStopped

            raise NotStopped("DRAM does not have the sandbox's bytes encrypted")
        table = Table(padding=(0, 1), header_style="bold")
        table.add_column("what happens", ratio=2)
        table.add_column("what is seen", ratio=3)
        table.add_row("the sandbox changes its block", printable(seen.decode()))
        table.add_row(f"DRAM at {address:#x}, where the block is", stored.hex(" ", 4))
        wrong = _stopped(lambda: b.look(block))
        table.add_row(f"another sandbox looks, with key {b.key_id}", printable(_said(wrong)))
        table.add_row("what the machine logged", printable(_logged(wrong)))
        flipped = _stopped(lambda: _flip_under(heap, block, address, a))
        table.add_row("the sandbox runs; a bit flips in DRAM", printable(_said(flipped)))
        table.add_row("what the machine logged", printable(_logged(flipped)))
        out.print(table)
    out.print(
        "\n[bold green]All stopped.[/] DRAM never had the bytes, and no key but the owner's reads them."
    )


def _flip_under(heap: tmebox.SharedHeap, block: tmebox.Block, address: int, sandbox: Any) -> None:
    """Flip a bit while the sandbox reads its block in a loop. What a processor has in its caches is written
    back and dropped meanwhile, as it is again and again."""

    def attack() -> None:
        time.sleep(LET_IT_RUN_S)
        heap.flush()
        heap.machine.dram[address] ^= 4
        heap.flush()

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        sandbox.look_until_it_changes(block)
    finally:
        attacker.join()


def _stopped(attack: Callable[[], Any]) -> tmebox.IntegrityViolation:
    """What ended it. Raises NotStopped if nothing did, or if the machine saw nothing."""
    import tmebox
    from tmebox.cli.demo.attacks import NotStopped

    try:
        attack()
    except tmebox.IntegrityViolation as violation:
        if violation.record is None:
            raise NotStopped(f"the machine logged nothing of {violation}") from violation
        return violation
    raise NotStopped("an access to what is not the sandbox's, or was changed in DRAM, went through")


def _said(violation: tmebox.IntegrityViolation) -> str:
    return _FOLDER_IN_MESSAGE.sub("", f"{type(violation).__name__}: {violation}")


def _logged(violation: tmebox.IntegrityViolation) -> str:
    record: Any = violation.record
    return f"bank {record.bank}: {record.kind}, line {record.physical_address:#x}, KeyID {record.key_id}"
