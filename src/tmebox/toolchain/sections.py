"""Sections in which the rewriter tells the link stage what it could not know else.

Label claims: labels that branches may go to, though an object names them in differences only. `&&b - &&a` is
a number once the code is assembled: no relocation is left that would tell the link stage that b's address can
come out of a sum. So the rewriter lists such labels in a section of their own, which is never loaded. It
claims something, no more: the verifier looks at every claimed target, and the sum passes the same check by
the target map as any address that is jumped to.

Fact claims: what is known of registers at labels that an object's own branches lead to, for the module file.
The verifier looks whether each holds.

Tables: of jump targets, which end up behind the text. Each has a section of its own, by number.
"""

from __future__ import annotations

from collections.abc import Iterable

LABELS = ".tmebox.labels"
LABEL_BYTES = 8
FACTS = ".tmebox.facts"
DEPTHS = ".tmebox.depths"
TABLES_PREFIX = ".tmebox.tables."
"""Of a section's name. One section a table, so that the linker drops those of functions that it drops."""


def label_claims(names: Iterable[str]) -> str:
    """Statements that list these labels."""
    return "".join([f'\t.section\t{LABELS},"",@progbits\n', *(f"\t.quad\t{name}\n" for name in names)])


def fact_claims(facts: Iterable[tuple[str, int]]) -> str:
    """Statements that list labels, and what holds there: register number << 8 | fact, as in module files."""
    lines = (f"\t.quad\t{label}, {fact}\n" for label, fact in facts)
    return "".join([f'\t.section\t{FACTS},"",@progbits\n', *lines])


KEPT_CLAIM = 1 << 31
"""Added to a depth: the claim is kept though it repeats the one before. Nothing else may say that a function
is one."""


def depth_claims(depths: Iterable[tuple[str, int]]) -> str:
    """Statements that list labels, and how far rsp is below the return address there."""
    lines = (f"\t.quad\t{label}, {depth}\n" for label, depth in depths)
    return "".join([f'\t.section\t{DEPTHS},"",@progbits\n', *lines])
