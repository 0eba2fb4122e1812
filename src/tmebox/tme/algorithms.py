"""The encryption algorithms, and their bits in IA32_TME_CAPABILITY, IA32_TME_ACTIVATE and PCONFIG."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Algorithm:
    """`number` is the policy's value in 982H[7:4], and the algorithm's bit elsewhere; `key_size` bytes for
    each of two keys."""

    name: str
    number: int
    key_size: int
    integrity: bool

    @property
    def bit(self) -> int:
        return 1 << self.number


ALGORITHMS = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("aes-xts-128", 0, 16, False),
        Algorithm("aes-xts-128-integrity", 1, 16, True),
        Algorithm("aes-xts-256", 2, 32, False),
        Algorithm("aes-xts-256-integrity", 3, 32, True),
    )
}


def by_number(number: int) -> Algorithm | None:
    """The algorithm of a policy value or bit number."""
    return next((one for one in ALGORITHMS.values() if one.number == number), None)


def by_bits(bits: int) -> Algorithm | None:
    """The algorithm whose bit this is; None if it is not exactly one bit, or a reserved one."""
    return next((one for one in ALGORITHMS.values() if one.bit == bits), None)
