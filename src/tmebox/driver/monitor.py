"""A virtual machine's monitor: its processors, their page tables, machine checks."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

ENTRY_ADDRESS = 0x000F_FFFF_FFFF_F000
PRESENT = 1
LARGE = 1 << 7
FIVE_LEVELS = 1 << 12
"""In CR4."""
RECOVERABLE_LOAD_STATUS = 0xBD80_0000_0000_0134
"""Valid, uncorrected, enabled, with address and miscellaneous information, signalled, action required; the
code of a data load (Intel's manual, volume 3, machine-check architecture)."""
GLOBAL_STATUS = 7
"""In progress, the address of the instruction is valid, and so is returning to it."""
BANK = 4
PHYSICAL_ADDRESS = 0x8C


class MonitorError(Exception):
    """The monitor's answer makes no sense."""


class Monitor:
    """QEMU's machine protocol over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rw", encoding="utf-8", newline="\n")
        self._next()
        self.execute("qmp_capabilities")

    def close(self) -> None:
        self._stream.close()

    def execute(self, command: str, **arguments: Any) -> Any:
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        while True:
            answer = self._next()
            if "error" in answer:
                raise MonitorError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def ask(self, line: str, cpu: int = 0) -> str:
        """A command of the human monitor."""
        return str(self.execute("human-monitor-command", **{"command-line": line, "cpu-index": cpu}))

    def stop(self) -> None:
        self.execute("stop")

    def go_on(self) -> None:
        self.execute("cont")

    def word(self, address: int) -> int | None:
        """8 bytes at an address of the program that runs; None where nothing is."""
        found = re.search(r": (0x[0-9a-f]+)", self.ask(f"x /1gx {address:#x}"))
        return int(found[1], 16) if found else None

    def entry(self, address: int) -> int:
        """The last page-table entry of an address of the program that runs; 0 where there is none.

        Found by walking the tables in physical memory. What the processor itself makes of the address
        (`gva2gpa`) must be the same.
        """
        registers = self.ask("info registers")
        table = self._register(registers, "CR3") & ENTRY_ADDRESS
        levels = 5 if self._register(registers, "CR4") & FIVE_LEVELS else 4
        entry = 0
        for level in reversed(range(levels)):
            index = address >> (12 + 9 * level) & 511
            entry = self._physical_word(table + 8 * index)
            if not entry & PRESENT:
                entry = 0
                break
            if entry & LARGE and level:
                raise MonitorError(f"a large page at {address:#x}")
            table = entry & ENTRY_ADDRESS
        reached = re.search(r"gpa: (0x[0-9a-f]+)", self.ask(f"gva2gpa {address:#x}"))
        found = int(reached[1], 16) & ~0xFFF if reached else None
        if found != (entry & ENTRY_ADDRESS if entry else None):
            raise MonitorError(f"the tables say {entry:#x}, the processor {found}")
        return entry

    def runs_user_code(self, low: int, high: int) -> bool:
        """At an address in [low, high)."""
        registers = self.ask("info registers")
        return "CPL=3" in registers and low <= self._register(registers, "RIP") < high

    def machine_check(self, physical: int) -> None:
        """A memory error that the load just running must not go on with."""
        status = f"{RECOVERABLE_LOAD_STATUS:#x} {GLOBAL_STATUS:#x}"
        complaint = self.ask(f"mce 0 {BANK} {status} {physical:#x} {PHYSICAL_ADDRESS:#x}")
        if complaint:
            raise MonitorError(complaint.strip())

    def _physical_word(self, address: int) -> int:
        found = re.search(r": (0x[0-9a-f]+)", self.ask(f"xp /1gx {address:#x}"))
        if found is None:
            raise MonitorError(f"no memory at {address:#x}")
        return int(found[1], 16)

    @staticmethod
    def _register(registers: str, name: str) -> int:
        found = re.search(rf"\b{name}=([0-9a-f]+)", registers)
        if found is None:
            raise MonitorError(f"no {name} in {registers!r}")
        return int(found[1], 16)

    def _next(self) -> dict[str, Any]:
        line = self._stream.readline()
        if not line:
            raise MonitorError("the virtual machine has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
