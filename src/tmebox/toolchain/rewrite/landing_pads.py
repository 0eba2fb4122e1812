"""Landing pads: where exceptions go on in a function, as its tables in `.gcc_except_table` have them.

The tables name them as differences of labels, which are numbers once the code is assembled. So they are
claimed like any label that a sum could lead to. A table has places of calls, too, which nobody jumps to: of
each four values that describe a call, the first says where the code with it begins, and the third is the
landing pad, where the stack is as deep as there.
"""

from __future__ import annotations

from tmebox.toolchain.rewrite.asm import Directive, constant, split_operands, symbols
from tmebox.toolchain.rewrite.directives import Section

SECTION = ".gcc_except_table"
_VALUES_PER_CALL, _BEGIN, _LANDING_PAD, _ULEB128 = 4, 0, 2, 1


def is_table(section: Section) -> bool:
    return section.name == SECTION or section.name.startswith(f"{SECTION}.")


class LandingPads:
    """Told of the statements of such sections in their order. begins: of each landing pad, the label of some
    code from which exceptions go there."""

    def __init__(self) -> None:
        self.begins: dict[str, str] = {}
        self._begin = ""
        self._is_after_encoding = False
        self._begins = self._ends = ""
        self._count: int | None = None
        """Values of the list of calls that were seen; None outside of it."""

    def label(self, name: str) -> None:
        if name == self._begins:
            self._count, self._begins = 0, ""
        elif name == self._ends:
            self._count, self._ends = None, ""

    def named(self, directive: Directive) -> list[str]:
        """Symbols in a directive that defines data whose addresses this takes."""
        values = split_operands(directive.arguments)
        if self._count is None:
            names = symbols(directive.arguments)
            if self._is_after_encoding and directive.name == ".uleb128" and len(names) == 2:
                self._ends, self._begins = names
            self._is_after_encoding = directive.name == ".byte" and constant(directive.arguments) == _ULEB128
            return [] if "-" in directive.arguments else names
        found = []
        for value in values:
            first = symbols(value)[:1]
            if self._count % _VALUES_PER_CALL == _BEGIN:
                self._begin = "".join(first)
            elif self._count % _VALUES_PER_CALL == _LANDING_PAD:
                found += first
                self.begins.update(dict.fromkeys(first, self._begin))
            self._count += 1
        return found
