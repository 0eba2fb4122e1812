"""What a backend of the shared heap promises.

The table of owners is the heap's own (`native/heap/owners.c`), and the authority for all backends. A backend
makes it hold for sandboxed code. Its work is done in the core, by the functions of a `struct heap_backend`
(`native/heap/heap.h`), partly in signal handlers:

| function | what it does |
|---|---|
| `attach`, `detach` | a sandbox's view of the heap becomes possible, or goes; `attach` may decline |
| `grant` | pages become present in a view, with the rights given; it says how many did |
| `revoke` | they are present no more, on any thread, when it returns |
| `carry` | what is present of pages in one view is so in another instead; it may decline |
| `rekey`, `zero` | lines of a page have changed hands, or become zeros |
| `flush` | what is cached of a page, which no view has, is written back |
| `side_begin` | a host pointer to memory that was checked, for one access; none: it does not verify |
| `side_end` | the instruction is done |
| `report` | at which line the memory stopped an access, where a fault has no address |
| `copy` | a block is moved |
| `begin_key`, `hidden`, `cleared`, `look`, `check` | of a backend that keeps the bytes itself |

Pages of several owners are granted only by a backend that says `grants_mixed`: to each who owns a line
in them. Then the memory tells lines apart.
"""

from __future__ import annotations

from typing import Literal, Protocol

Detection = Literal["access", "owner's next read"]
"""When a foreign access is found: there and then, entirely before it; or, in a page of several owners, a
write when the owner next reads what was written. A foreign read is always found there and then."""


class Backend(Protocol):
    """One way to enforce the table."""

    name: str
    detects: Detection

    def views(self) -> bool:
        """Whether pages can be shown in sandboxes' windows here. Where they cannot, everything is done on the
        side, with the same results."""
