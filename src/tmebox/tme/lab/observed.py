"""What every layer of a machine saw of some accesses: worked out from its trace and from DRAM, not told."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox.tme.dram import LINE, DramLine
from tmebox.tme.events import Trace
from tmebox.tme.inspection import CachedLine, KeySlot
from tmebox.tme.machine import Modelled

_LAYERS = {
    "core": ("read", "write", "direct-store", "flush"),
    "caches": ("hit", "miss", "ownership-read", "evict", "write-back", "invalidate", "alias-flush"),
    "engine": ("decrypt", "encrypt", "mac-match", "mac-mismatch", "td-mismatch", "td-hidden"),
}


@dataclass(frozen=True)
class DramPicture:
    """A line of DRAM, and the KeyIDs under which it would verify."""

    line: DramLine
    verifying: tuple[int, ...]


@dataclass(frozen=True)
class Observed:
    """After a step: one text for each layer, and what pictures are drawn from."""

    layers: dict[str, str]
    trace: Trace
    cached: tuple[CachedLine, ...]
    dram: tuple[DramPicture, ...]
    keys: tuple[KeySlot, ...]


class Watch:
    """Looks at a few lines of a machine, before and after."""

    def __init__(self, machine: Modelled, lines: tuple[int, ...], key_ids: tuple[int, ...]) -> None:
        self._machine = machine
        self._lines = lines
        self._key_ids = key_ids
        self._since = sum(machine.counters().values())
        self._checks = len(machine.machine_checks)
        self._before = self._dram()

    def _dram(self) -> tuple[DramPicture, ...]:
        machine = self._machine
        return tuple(DramPicture(machine.dram.line(at), tuple(machine.verifying(at))) for at in self._lines)

    def observed(self) -> Observed:
        """What happened since this watch was made."""
        machine = self._machine
        trace = Trace([event for event in machine.trace() if event.number >= self._since])
        after = self._dram()
        layers = {layer: _counted(trace, kinds) for layer, kinds in _LAYERS.items()}
        layers["DRAM"] = self._changes(trace, after)
        checks = machine.machine_checks[self._checks :]
        layers["log"] = "; ".join(
            f"bank {one.bank}, code {one.mscod:#x} ({one.kind}), address {one.address:#x}" for one in checks
        )
        watched = {at - at % LINE for at in self._lines}
        bits = machine.registers.core_key_bits
        return Observed(
            {layer: text or "nothing" for layer, text in layers.items()},
            trace,
            tuple(line for line in machine.cached() if line.address in watched),
            after,
            tuple(machine.key_slot(key_id) for key_id in self._key_ids if key_id < 1 << bits),
        )

    def _changes(self, trace: Trace, after: tuple[DramPicture, ...]) -> str:
        texts = []
        for old, new in zip(self._before, after, strict=True):
            if old.line == new.line:
                continue
            what = []
            pairs = zip(old.line.ciphertext, new.line.ciphertext, strict=True)
            bits = sum(bin(a ^ b).count("1") for a, b in pairs)
            if bits:
                what.append(f"{bits} bit{'s' * (bits != 1)} of the line")
            if old.line.mac != new.line.mac:
                what.append("its MAC")
            if old.line.td != new.line.td:
                what.append("its TD bit")
            if old.line.poisoned != new.line.poisoned:
                what.append("poison" if new.line.poisoned else "no more poison")
            texts.append(f"{new.line.address:#x}: changed {', '.join(what)}")
        plain = _counted(trace, ("plain-load", "plain-store"))
        return "; ".join([*texts, *([plain] if plain else [])])


def _counted(trace: Trace, kinds: tuple[str, ...]) -> str:
    """ "2 × read with KeyID 3, 1 × …", in the order of the kinds."""
    counts: dict[tuple[int, int], int] = {}
    for event in trace.of(*kinds):
        key = kinds.index(event.kind), event.key_id
        counts[key] = counts.get(key, 0) + 1
    return ", ".join(
        f"{count} × {kinds[kind]} (KeyID {key_id})" for (kind, key_id), count in sorted(counts.items())
    )
