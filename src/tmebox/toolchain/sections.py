"""Sections in which the rewriter tells the link stage what it could not know else.

Label claims: labels that branches may go to, though an object names them in differences only. `&&b - &&a` is
a number once the code is assembled: no relocation is left that would tell the link stage that b's address can
come out of a sum. So the rewriter lists such labels in a section of their own, which is never loaded. It
claims something, no more: the verifier looks at every claimed target, and the sum passes the same check by
the target map as any address that is jumped to.

Tables: of jump targets, which end up behind the text. Each has a section of its own, by number.
"""

from __future__ import annotations

from collections.abc import Iterable

LABELS = ".tmebox.labels"
LABEL_BYTES = 8
TABLES_PREFIX = ".tmebox.tables."


def label_claims(names: Iterable[str]) -> str:
    """Statements that list these labels."""
    return "".join([f'\t.section\t{LABELS},"",@progbits\n', *(f"\t.quad\t{name}\n" for name in names)])
