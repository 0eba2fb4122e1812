"""Rules for make about what a compilation read (-MD, -MMD, -M)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def rule(
    targets: Sequence[str], dependencies: Sequence[str], system: Iterable[str] = (), *, phony: bool = False
) -> str:
    """`targets: dependencies`, without those below a directory in `system`.

    phony: also an empty rule for each dependency but the first, so that make survives a header's removal.
    """
    hidden = tuple(f"{directory}/" for directory in system)
    shown = [name for name in dependencies if not (hidden and name.startswith(hidden))]
    text = " \\\n  ".join([f"{' '.join(targets)}:", *(_escape(name) for name in shown)]) + "\n"
    if phony:
        text += "".join(f"{_escape(name)}:\n" for name in shown[1:])
    return text


def _escape(name: str) -> str:
    return name.replace("$", "$$").replace(" ", "\\ ").replace("#", "\\#")
