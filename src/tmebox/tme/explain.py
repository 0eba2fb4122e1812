"""What an access to an address under a KeyID does, step by step, on a machine as it is now. Nothing is
changed."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox.tme.dram import LINE
from tmebox.tme.faults import AccessError
from tmebox.tme.machine import Modelled


@dataclass(frozen=True)
class Fact:
    """One line of the explanation: where, and what."""

    where: str
    what: str


def explain(machine: Modelled, address: int, key_id: int) -> list[Fact]:
    """Facts in the order of the access's way. AccessError if there is no such KeyID."""
    slot = machine.key_slot(key_id)
    options = machine.options
    line = address - address % LINE
    shift = machine.key_shift
    facts = [Fact("address", f"{address:#x}: line {line:#x}, byte {address % LINE} of it")]
    try:
        physical = machine.physical(address, key_id)
    except AccessError as error:
        return [*facts, Fact("physical address", f"none: {error}")]
    facts += [
        Fact(
            "physical address",
            f"{physical:#x} of {options.physical_bits} bits: KeyID {key_id} in bits "
            f"{options.physical_bits - 1}:{shift}"
            if shift < options.physical_bits
            else f"{physical:#x}: no KeyID bits, TME-MK is not active",
        ),
        Fact(
            "page-table entry",
            f"{machine.physical(address & ~0xFFF, key_id) | 7:#018x}, in host tables, EPT and IOMMU",
        ),
    ]
    if not 0 <= address < options.memory:
        return [*facts, Fact("memory", f"none: the machine has {options.memory:#x} bytes")]
    facts.append(Fact("cache", _cache(machine, line, key_id)))
    facts.append(Fact("key table", f"{slot!r}"[1:-1]))
    if slot.algorithm is None:
        facts.append(Fact("engine", "passes the line on as it is"))
    else:
        facts.append(Fact("engine", f"tweak: AES of {line:#x} with the tweak key; then XTS of four blocks"))
    if slot.algorithm and slot.algorithm.endswith("integrity"):
        facts.append(
            Fact("MAC", f"{options.mac_bits} bits of SHA-3-256 over MAC key, cipher text, tweak, TD bit")
        )
    facts.append(Fact("DRAM", _dram(machine, line)))
    facts.append(Fact("a read now", _outcome(machine, line, key_id)))
    return facts


def _cache(machine: Modelled, line: int, key_id: int) -> str:
    options = machine.options
    if options.cache == 0:
        return "none on this machine"
    held = [one for one in machine.cached() if one.address == line]
    place = f"set {line // LINE % options.sets} of {options.sets}, tag (KeyID {key_id}, {line:#x})"
    if not held:
        return f"{place}: not here, under no KeyID"
    texts = [f"KeyID {one.key_id}, {'dirty' if one.dirty else 'clean'}" for one in held]
    return f"{place}: the line is here under {'; '.join(texts)}"


def _dram(machine: Modelled, line: int) -> str:
    found = machine.dram.line(line)
    bits = f"{', TD' * found.td}{', poisoned' * found.poisoned}"
    return f"{found.ciphertext[:16].hex(' ')} …, MAC {found.mac:07x}{bits}"


def _outcome(machine: Modelled, line: int, key_id: int) -> str:
    if any(one.address == line and one.key_id == key_id and not one.poisoned for one in machine.cached()):
        return "hits the cache: DRAM is not asked"
    slot = machine.key_slot(key_id)
    found = machine.dram.line(line)
    if slot.private:
        return "needs SEAM mode" + ("" if found.td else ", and would then find TD = 0: a machine check")
    if found.poisoned:
        return "consumes poison: a machine check"
    if found.td:
        return "gives zeros: the line is private to a TDX KeyID"
    if slot.algorithm is None:
        return "gives what DRAM holds"
    if not slot.algorithm.endswith("integrity"):
        return "decrypts it with this key, right or wrong: there is no MAC"
    fitting = machine.verifying(line)
    if key_id in fitting:
        return "decrypts it, and the MAC fits"
    whose = f"it fits KeyID {', '.join(map(str, fitting))}" if fitting else "it fits no KeyID"
    return f"is a machine check: the MAC does not fit this key ({whose})"
