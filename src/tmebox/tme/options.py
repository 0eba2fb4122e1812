"""What a machine is built from: options, checked before anything exists."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from tmebox.abi import GIB, KIB, MIB, PAGE_SIZE
from tmebox.tme.algorithms import ALGORITHMS
from tmebox.tme.faults import ConfigurationError

LINE = 64
MAC_BITS = 28
MOST_KEY_ID_BITS = 15

Replacement = Literal["lru", "fifo", "random", "tree"]
Detection = Literal["paper", "specification"]
PconfigChecks = Literal["specification", "manual"]
REPLACEMENTS: tuple[Replacement, ...] = get_args(Replacement)
"""In the order of native/tme/machine.h."""
_WHOLE = (
    "key_id_bits",
    "ways",
    "physical_bits",
    "most_key_id_bits",
    "tdx_key_id_bits",
    "mac_bits",
    "events",
)
_SWITCHES = ("coherent_aliases", "aliases_forbidden", "bypass")
_UNITS = {"": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}


def size_from(given: int | str, what: str, rule: str) -> int:
    """A size in bytes from a number or from text such as "64MiB"."""
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    match = re.fullmatch(r"([0-9]{1,18}) ?(KiB|MiB|GiB)?", given) if isinstance(given, str) else None
    if match is None:
        raise ConfigurationError(f'{what}={given!r}: give bytes, or text such as "64MiB"', rule)
    return int(match[1]) * _UNITS[match[2] or ""]


@dataclass(frozen=True)
class Options:
    """A machine's options; `Machine` says what they mean. Sizes are in bytes here."""

    memory: int
    key_id_bits: int
    algorithm: str
    coherent_aliases: bool
    aliases_forbidden: bool
    detection: Detection
    cache: int
    ways: int
    replacement: Replacement
    physical_bits: int
    most_key_id_bits: int
    tdx_key_id_bits: int
    algorithms: tuple[str, ...]
    bypass: bool
    exclusion: tuple[int, int] | None
    mac_bits: int
    pconfig_checks: PconfigChecks
    events: int
    seed: int | None = field(default=None, repr=False)

    @property
    def sets(self) -> int:
        """Of the cache. Without a cache there is one place, which every access leaves again."""
        return max(1, self.cache // (LINE * self.ways))

    def check(self) -> None:
        """Raise ConfigurationError, with the rule, for the first thing that cannot be."""
        for problem, rule in self._problems():
            raise ConfigurationError(problem, rule)

    def _of_wrong_types(self) -> list[tuple[str, str]]:
        wanted = {
            **dict.fromkeys(_WHOLE, (int, "a whole number")),
            **dict.fromkeys(_SWITCHES, (bool, "a bool")),
        }
        given = {name: getattr(self, name) for name in wanted}
        if self.exclusion is not None:
            pair = self.exclusion if isinstance(self.exclusion, tuple) else ()
            if len(pair) != 2:
                return [(f"exclusion={self.exclusion!r}: a base and a size", "option-exclusion")]
            given |= {"exclusion's base": pair[0], "exclusion's size": pair[1]}
        if self.seed is not None:
            given["seed"] = self.seed
        return [
            (f"{name}={value!r}: expected {what}", "option-value")
            for name, value in given.items()
            for kind, what in [wanted.get(name, (int, "a whole number"))]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool))
        ]

    def _problems(self) -> list[tuple[str, str]]:
        found = self._of_wrong_types()
        if found:
            return found

        def need(good: bool, problem: str, rule: str) -> None:
            if not good:
                found.append((problem, rule))

        for name, value, values in (
            ("detection", self.detection, get_args(Detection)),
            ("replacement", self.replacement, REPLACEMENTS),
            ("pconfig_checks", self.pconfig_checks, get_args(PconfigChecks)),
        ):
            need(value in values, f"{name}={value!r}: expected one of {', '.join(values)}", "option-value")
        need(32 <= self.physical_bits <= 52, f"physical_bits={self.physical_bits}: 32 to 52", "option-value")
        need(
            self.seed is None or 0 <= self.seed < 1 << 64,
            f"seed={self.seed}: 64 bits, not negative",
            "option-value",
        )
        need(
            0 <= self.events <= 1 << 20 and self.events & (self.events - 1) == 0,
            f"events={self.events}: 0 or a power of two, up to 1,048,576",
            "option-value",
        )
        need(
            0 <= self.key_id_bits <= self.most_key_id_bits <= MOST_KEY_ID_BITS,
            f"key_id_bits={self.key_id_bits} of at most {self.most_key_id_bits}: 0 to {MOST_KEY_ID_BITS}",
            "option-key-bits",
        )
        need(
            0 <= self.tdx_key_id_bits <= self.key_id_bits,
            f"tdx_key_id_bits={self.tdx_key_id_bits}: 0 to key_id_bits, which is {self.key_id_bits}",
            "activate-tdx-bits",
        )
        if found:
            return found  # what follows computes with these
        unknown = [name for name in (*self.algorithms, self.algorithm) if name not in list(ALGORITHMS)]
        need(not unknown, f"no algorithm {unknown}: {', '.join(ALGORITHMS)}", "option-algorithm")
        need(
            self.algorithm in self.algorithms,
            f"algorithm={self.algorithm!r} is not one that this part has: "
            f"{', '.join(map(str, self.algorithms))}",
            "option-algorithm",
        )
        highest = 1 << (self.physical_bits - self.key_id_bits)
        need(
            self.memory > 0 and self.memory % PAGE_SIZE == 0 and self.memory <= min(highest, 256 * GIB),
            f"memory={self.memory}: whole pages of {PAGE_SIZE}, at most {min(highest, 256 * GIB)} bytes",
            "option-memory",
        )
        ways = self.ways
        need(1 <= ways <= 64, f"ways={ways}: 1 to 64", "option-cache")
        need(
            self.cache == 0 or (ways > 0 and self.cache > 0 and self.cache % (LINE * ways) == 0),
            f"cache={self.cache}: 0, or a multiple of {LINE} bytes times {ways} ways",
            "option-cache",
        )
        need(self.cache <= GIB, f"cache={self.cache}: at most 1 GiB", "option-cache")
        need(
            self.replacement != "tree" or ways & (ways - 1) == 0,
            f"replacement='tree' needs a power of two of ways, not {ways}",
            "option-cache",
        )
        need(
            not (self.coherent_aliases and self.aliases_forbidden),
            "coherent_aliases and aliases_forbidden contradict each other",
            "option-aliases",
        )
        need(1 <= self.mac_bits <= MAC_BITS, f"mac_bits={self.mac_bits}: 1 to {MAC_BITS}", "option-mac")
        if not unknown:
            need(
                self.mac_bits == MAC_BITS or any(ALGORITHMS[name].integrity for name in self.algorithms),
                f"mac_bits={self.mac_bits} without an algorithm that has a MAC",
                "option-mac",
            )
        if self.exclusion is not None:
            base, size = self.exclusion
            need(
                size >= PAGE_SIZE and size & (size - 1) == 0 and base % size == 0 and base >= 0,
                f"exclusion=({base:#x}, {size:#x}): a size that is a power of two, a page or more; aligned",
                "option-exclusion",
            )
            need(
                base + size <= 1 << self.physical_bits and size < 1 << self.physical_bits,
                f"exclusion=({base:#x}, {size:#x}): not all of the {self.physical_bits} bits of addresses, "
                "and nothing beyond",
                "option-exclusion",
            )
        return found
