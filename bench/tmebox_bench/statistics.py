"""What samples amount to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Least, middle and greatest of some samples."""

    min: float
    median: float
    max: float


def spread(samples: Iterable[float]) -> Spread:
    """Raises ValueError for no samples."""
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    return Spread(ordered[0], statistics.median(ordered), ordered[-1])


def ratios(samples: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Spread of the ratios of samples taken side by side: what disturbed a round disturbed both.

    Raises ValueError for different numbers of samples, or none.
    """
    return spread(one / other for one, other in zip(samples, baseline, strict=True))


def geomean(values: Iterable[float]) -> float:
    """Geometric mean of positive numbers. Raises ValueError for none, or one that is not positive."""
    logarithms = [math.log(value) for value in values]
    if not logarithms:
        raise ValueError("no values")
    return math.exp(statistics.fmean(logarithms))
