"""What a rule is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Basis = Literal["public", "inferred"]


@dataclass(frozen=True)
class Rule:
    """One row. `test`: a test's name, below tests/tme/."""

    name: str
    section: str
    says: str
    test: str
    basis: Basis = "public"
