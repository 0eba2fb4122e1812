"""Remembering in this process which texts were verified, by everything that the verdict depends on.

The whole content is the key, not a digest of it, so a verdict is only ever found for the same bytes at the
same address with the same claims. Nothing is kept beyond the process: decision 12 says why.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from tmebox.verify.verify import Locate, VerifiedText, verify

MOST_BYTES: Final = 64 << 20
"""How much is remembered: texts, what was claimed of them and what was found, in bytes."""

Addresses = np.ndarray[Any, np.dtype[np.int64]]


class _Subject(NamedTuple):
    """All that `verify` is told, but for what only serves its messages."""

    code: bytes
    address: int
    functions: bytes
    labels: bytes
    table_entries: int
    fact_places: bytes
    facts: bytes
    depth_places: bytes
    depths: bytes
    base: str
    isolation: str
    optional: tuple[int, int]


_VERDICTS: Final[dict[_Subject, VerifiedText]] = {}
"""Oldest use first. Every step below is atomic, so that no lock could stay locked in a forked child."""


def _bytes(subject: _Subject, verdict: VerifiedText) -> int:
    told = sum(len(part) for part in subject if isinstance(part, bytes))
    return told + len(verdict.target_map) + sum(map(len, verdict.returns))


def verify_once(
    code: bytes,
    address: int,
    *,
    functions: Addresses,
    labels: Addresses,
    table_entries: int,
    fact_places: Addresses,
    facts: Addresses,
    depth_places: Addresses,
    depths: Addresses,
    base: str,
    isolation: str,
    optional: tuple[int, int] = (0, 0),
    locate: Locate | None = None,
) -> VerifiedText:
    """As `verify`, but returns what was found before if this process has verified the same."""
    subject = _Subject(
        bytes(code),
        address,
        functions.tobytes(),
        labels.tobytes(),
        table_entries,
        fact_places.tobytes(),
        facts.tobytes(),
        depth_places.tobytes(),
        depths.tobytes(),
        base,
        isolation,
        optional,
    )
    verdict = _VERDICTS.pop(subject, None)
    if verdict is None:
        verdict = verify(
            subject.code,
            address,
            functions=functions.tolist(),
            labels=labels.tolist(),
            table_entries=table_entries,
            fact_places=fact_places,
            facts=facts,
            depth_places=depth_places,
            depths=depths,
            base=base,
            isolation=isolation,
            optional=optional,
            locate=locate,
        )
    _VERDICTS[subject] = verdict
    while sum(_bytes(*item) for item in list(_VERDICTS.items())) > MOST_BYTES:
        _VERDICTS.pop(next(iter(list(_VERDICTS)), subject), None)
    return verdict
