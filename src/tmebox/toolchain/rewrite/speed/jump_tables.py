"""Tables of labels that jumps go through: found among a file's constants, put behind its text.

There no sandbox can write, and the verifier looks at every entry, so a jump can read its target from them
without a check: docs/design.md, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from tmebox.abi import TABLE_ENTRY
from tmebox.records import dataclass, field
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Directive, split_operands, symbols
from tmebox.toolchain.rewrite.directives import Section
from tmebox.toolchain.rewrite.replacement import lines
from tmebox.toolchain.sections import TABLES_PREFIX

_COMPARE = regex(r"\tcmp[lq]\s+\$(\d+|0x[0-9a-f]+), ?%(\w+)")
_JUMP_IF_ABOVE = regex(r"\tja\s+[\w.$]+")
_MOST_ENTRIES = 4
"""For each of a table's own."""
_READ_ONLY = ".rodata"
_ENTRY = ".quad"


@dataclass
class _Found:
    """is_regular: it consists of names alone. group: the COMDAT group of its section, if it is in one."""

    group: str = ""
    targets: list[str] = field(default_factory=list)
    is_regular: bool = True


class JumpTables:
    """Told of a file's data statements in their order; then asked."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}
        self._open: str | None = None
        self._last: str | None = None
        """The last constant's label, whether or not anything has followed it."""
        self._shared: set[str] = set()
        self._read_otherwise: set[str] = set()

    def begin(self, label: str, section: Section) -> None:
        """A label in a data section."""
        last = self._found.get(self._last or "")
        if last is not None and last.is_regular and not last.targets:
            self._read_otherwise.add(label)  # by whoever uses the other label of the same place
        is_constant = section.name == _READ_ONLY or section.name.startswith(f"{_READ_ONLY}.")
        self._open = label if is_constant and label not in self._found else None
        if self._open is not None:
            self._found[label] = _Found(section.group)
            self._last = label

    def end(self) -> None:
        """What comes next is not part of the table."""
        self._open = None

    def add(self, directive: Directive) -> str | None:
        """A directive that defines data; returns the table that it is part of."""
        if self._open is None:
            return None
        table = self._found[self._open]
        names = split_operands(directive.arguments)
        if directive.name == _ENTRY and all(symbols(name) == [name] for name in names):
            table.targets += names
        else:
            table.is_regular = False
        return self._open

    def share(self, names: list[str]) -> None:
        """Other files may define these."""
        self._shared.update(names)

    def read_otherwise(self, names: list[str]) -> None:
        """An instruction reads them that is no jump through a table."""
        self._read_otherwise.update(names)

    def usable(self, is_code: Callable[[str], bool]) -> dict[str, tuple[str, ...]]:
        """name → labels, for those that jumps may go through. `is_code`: whether an instruction is there."""
        return {
            name: tuple(table.targets)
            for name, table in self._found.items()
            if table.is_regular
            and table.targets
            and name not in self._shared
            and all(map(is_code, table.targets))
        }

    def group(self, name: str) -> str:
        """The COMDAT group that the linker keeps or drops a table with; "" if none."""
        return self._found[name].group

    def is_private(self, name: str, taken: Set[str]) -> bool:
        """Whether nothing but jumps through it can read a table. `taken`: symbols used as a value."""
        return name.startswith(".L") and name not in taken and name not in self._read_otherwise


def table_jump(table: str, index: str) -> str:
    """The jump through `table`, a label that `placed` has placed, where a fact or a comparison has bounded
    `index`, a 64-bit register."""
    return lines(f"jmp *{table}(,%{registers.part(index, 32)},{TABLE_ENTRY})")


def masked_table_jump(table: str, index: str, bits: int) -> str:
    """The same, with what leaves so many bits of the index."""
    return "\n".join(
        [lines(f"andl ${(1 << bits) - 1}, %{registers.part(index, 32)}"), table_jump(table, index)]
    )


def checked_table_jump(table: str, index: str, entries: int, trap: str) -> str:
    """The same, with the comparison. trap: label."""
    return "\n".join([lines(f"cmpq ${entries - 1}, %{index}", f"ja {trap}"), table_jump(table, index)])


def is_compared(texts: Sequence[str], index: str, entries: int) -> bool:
    """Whether a file's text so far ends in a comparison which leaves no index but those of the entries.
    Nobody arrives at the labels behind it."""
    before = (line for text in reversed(texts) for line in reversed(text.split("\n")) if _takes_room(line))
    branch, compare = next(before, ""), next(before, "")
    found = _COMPARE.fullmatch(compare)
    return (
        found is not None
        and _JUMP_IF_ABOVE.fullmatch(branch) is not None
        and found[2] in (index, registers.part(index, 32))
        and int(found[1], 0) < entries
    )


def _takes_room(line: str) -> bool:
    return not (not line or line.endswith(":") or line.startswith(("\t.loc\t", "#", "\t#")))


def can_have(entries: int, targets: tuple[str, ...]) -> bool:
    """Whether a table of these labels may be filled up to so many entries; else that wastes memory."""
    return entries <= len(targets) * _MOST_ENTRIES


def placed(number: int, table: str, targets: Sequence[str], group: str) -> str:
    """The table's statements. `number` tells the tables of a file apart."""
    flags = f'"axG",@progbits,{group},comdat' if group else '"ax",@progbits'
    entries = "\n".join(f"\t.quad\t{target}" for target in targets)
    return f"\t.section\t{TABLES_PREFIX}{number},{flags}\n\t.p2align\t3\n{table}:\n{entries}"
