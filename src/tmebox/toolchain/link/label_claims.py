"""Labels that an object says branches may go to, for those that it names in differences only.

`&&b - &&a` is a number once the code is assembled: no relocation is left that would tell the linker step that
b's address can come out of a sum. So the rewriter lists such labels in a section of their own, which is never
loaded. It claims something, no more: the verifier looks at every claimed target, and the sum passes the same
check by the target map as any address that is jumped to.
"""

from __future__ import annotations

from collections.abc import Iterable

SECTION = ".tmebox.labels"
ENTRY_BYTES = 8


def claims(names: Iterable[str]) -> str:
    """The section's statements."""
    return "".join([f'\t.section\t{SECTION},"",@progbits\n', *(f"\t.quad\t{name}\n" for name in names)])
