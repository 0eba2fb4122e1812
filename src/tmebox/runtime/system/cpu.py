"""What a guest is told of the processor: what its own code needs, which was seen to be there, and companions.

Anything may be told safely, for what a module's code does was verified for this machine. Telling the module's
own needs, and what usually comes with those, makes the answer the same on all that can run it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tmebox.runtime.system.calls import GuestMemory

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

WORDS = 4
_PLACES = {
    "pni": (0, 0), "pclmulqdq": (0, 1), "ssse3": (0, 9), "fma": (0, 12), "cx16": (0, 13), "sse4_1": (0, 19),
    "sse4_2": (0, 20), "movbe": (0, 22), "popcnt": (0, 23), "aes": (0, 25), "avx": (0, 28), "f16c": (0, 29),
    "rdrand": (0, 30), "bmi1": (1, 3), "avx2": (1, 5), "bmi2": (1, 8), "rdseed": (1, 18), "adx": (1, 19),
    "sha_ni": (1, 29), "abm": (3, 5), "3dnowprefetch": (3, 8),
}  # fmt: skip
"""Feature → which word, and the bit in it."""
_IMPLIED = {
    "avx2": ("avx", "fma", "f16c", "bmi2", "movbe", "abm"),  # level 3 of x86-64, which all of them make up
    "fma": ("avx",),
    "f16c": ("avx",),
    "avx": ("sse4_2",),
    "aes": ("sse4_2",),
    "pclmulqdq": ("sse4_2",),
    "sha_ni": ("sse4_2",),
    "sse4_2": ("sse4_1", "popcnt", "cx16"),  # level 2
    "sse4_1": ("ssse3",),
    "ssse3": ("pni",),
    "bmi2": ("bmi1",),
}
"""What programs ask for together: simdjson takes its code for AVX2 only where there is BMI2, too, of which
that code has nothing. What is told beside a module's needs promises nothing: no instruction of it is in the
code."""


def cpu_features(system: System, memory: GuestMemory, result: int) -> int:
    words = [0] * WORDS
    for name in with_implied(system.cpu_features):
        if name in _PLACES:
            word, bit = _PLACES[name]
            words[word] |= 1 << bit
    memory.write(result, struct.pack(f"<{WORDS}I", *words))
    return 0


def with_implied(features: frozenset[str]) -> frozenset[str]:
    """The features and all that they imply."""
    found: set[str] = set()
    left = list(features)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _IMPLIED.get(name, ())
    return frozenset(found)
