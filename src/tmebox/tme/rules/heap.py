"""Rules of the machine that a shared heap lives in."""

from __future__ import annotations

from tmebox.tme.rules.rule import Rule

TEST = "test_machines_that_contradict_a_heap_are_refused"


def _row(name: str, says: str) -> Rule:
    return Rule(name, "model", says, TEST, "inferred")


ROWS = (
    _row("option-heap-cache", "a heap's machine has no cache: its views are one"),
    _row("option-heap-keys", "every KeyID of a heap's machine is TME-MK's, and encrypts"),
    _row("option-heap-integrity", "a heap's machine has integrity"),
    _row("option-heap-memory", "a heap, and a page for PCONFIG, fit into its machine"),
    _row("option-heap-seed", "a heap draws its owners' keys from the system"),
)
