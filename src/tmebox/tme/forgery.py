"""How likely a forged line passes: measured with MACs of a few bits, and carried on to 28.

A trial is a random cipher text under a random MAC, at a random address. If a MAC of b bits is as good as a
random one, a trial passes with probability 2^-b. The measurement says how well that holds where it can be
measured.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from tmebox._native import tme_forge

Z = 1.959963984540054
"""Of a 95% confidence interval."""
HARDWARE_BITS = 28
MOST_TRIALS = 1 << 40
"""Hours: nothing ends them earlier."""


@dataclass(frozen=True)
class Sample:
    """`passed` of `trials` forged lines under a MAC of `bits`."""

    bits: int
    trials: int
    passed: int

    @property
    def rate(self) -> float:
        return self.passed / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """Of the rate, by Wilson's formula, at 95%."""
        n, p = self.trials, self.rate
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max(0.0, middle - half), middle + half


@dataclass(frozen=True)
class Extrapolation:
    """log2 of the rate as a line over the bits; `rate`, `low` and `high` are its values at 28 bits, at
    95%."""

    samples: tuple[Sample, ...]
    slope: float
    intercept: float
    rate: float
    low: float
    high: float

    def __str__(self) -> str:
        rows = [
            f"{one.bits:>2} bits: {one.passed:>9,} of {one.trials:>12,} passed, 2^{math.log2(one.rate):.2f}"
            for one in self.samples
        ]
        rows.append(
            f"{HARDWARE_BITS} bits: 2^{math.log2(self.rate):.2f}, between 2^{math.log2(self.low):.2f} "
            f"and 2^{math.log2(self.high):.2f} (95%)"
        )
        return "\n".join(rows)


def sample(bits: int, trials: int, *, seed: int | None = None, path: str | None = None) -> Sample:
    """Forge `trials` lines against a fresh random key. ValueError for what cannot be."""
    for name, value, least, most in (
        ("bits", bits, 1, HARDWARE_BITS),
        ("trials", trials, 1, MOST_TRIALS),
        ("seed", seed or 0, 0, (1 << 64) - 1),
    ):
        if not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name}={value!r}: a whole number from {least} to {most}")
    secrets = os.urandom(48) if seed is None else seed.to_bytes(8, "little") * 6
    number = int.from_bytes(os.urandom(8), "little") if seed is None else seed
    return Sample(
        bits, trials, tme_forge(path, secrets[:16], secrets[16:32], secrets[32:], bits, trials, number)
    )


def measure(
    bits: Sequence[int] = tuple(range(4, 21, 2)), passes: int = 200, *, seed: int | None = None
) -> Extrapolation:
    """Measure each length with enough trials for about `passes` that pass, and carry on to 28 bits.

    The line is fitted by weighted least squares: the variance of log2 of a rate is about 1/(passed · ln² 2).
    """
    if len(set(bits)) < 2:
        raise ValueError("a line needs two lengths of MAC, and forgeries that pass with each: more passes")
    if not all(isinstance(one, int) and 1 <= one <= HARDWARE_BITS for one in bits):
        raise ValueError(f"bits={bits!r}: lengths from 1 to {HARDWARE_BITS}")
    samples = tuple(sample(one, passes << one, seed=None if seed is None else seed + one) for one in bits)
    if any(one.passed == 0 for one in samples):
        raise ValueError("a line needs two lengths of MAC, and forgeries that pass with each: more passes")
    weights = [one.passed * math.log(2) ** 2 for one in samples]
    xs, ys = [one.bits for one in samples], [math.log2(one.rate) for one in samples]
    total = sum(weights)
    x_mean = sum(w * x for w, x in zip(weights, xs, strict=True)) / total
    y_mean = sum(w * y for w, y in zip(weights, ys, strict=True)) / total
    spread = sum(w * (x - x_mean) ** 2 for w, x in zip(weights, xs, strict=True))
    slope = sum(w * (x - x_mean) * (y - y_mean) for w, x, y in zip(weights, xs, ys, strict=True)) / spread
    at = y_mean + slope * (HARDWARE_BITS - x_mean)
    half = Z * math.sqrt(1 / total + (HARDWARE_BITS - x_mean) ** 2 / spread)
    return Extrapolation(
        samples, slope, y_mean - slope * x_mean, 2.0**at, 2.0 ** (at - half), 2.0 ** (at + half)
    )
