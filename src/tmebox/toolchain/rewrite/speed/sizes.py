"""How many bytes an instruction will take, about: for decisions that only speed depends on."""

from __future__ import annotations

from functools import lru_cache

from tmebox.toolchain.patterns import regex

_MEMORY = regex(r"(?P<segment>%gs:)?(?P<displacement>[^\s,(%$*]*)\((?P<registers>[^)]*)\)")
_EXTENDED = regex(r"%r(?:8|9|1\d)|%[sdb]pl|%[sd]il")
_ALONE = {"retq": 1, "ret": 1, "hlt": 1, "leave": 1, "leaveq": 1, "cltd": 1, "cltq": 2, "cqto": 2}
_TWO_BYTE = ("movz", "movs", "cmov", "set", "imul", "bt", "bs", "popcnt", "xadd", "cmpxchg")
"""Beginnings of mnemonics whose opcode has two bytes."""
_NEAR = range(-128, 128)


@lru_cache(maxsize=1 << 14)
def size_bytes(line: str) -> int:
    """An estimate for one line with an instruction in AT&T syntax, within a few bytes."""
    mnemonic, _, operands = line.strip().replace("\t", " ").partition(" ")
    operands = operands.strip()
    if mnemonic in _ALONE:
        return _ALONE[mnemonic]
    if "(" not in operands and "%gs:" not in operands:
        if mnemonic in ("pushq", "popq") and "$" not in operands:
            return 2 if _EXTENDED.search(operands) else 1
        if mnemonic.startswith("j") and "*" not in operands:
            return 2
        if mnemonic.startswith("call") and "*" not in operands:
            return 5
    opcode = 1 + mnemonic.startswith(_TWO_BYTE)
    if "%xmm" in operands or "%ymm" in operands:
        opcode = 2 if mnemonic.endswith("ps") else 3
    is_short = mnemonic == "movl" and operands.startswith("$") and "(" not in operands
    has_rex = mnemonic.endswith("q") or _EXTENDED.search(operands) is not None
    return opcode + (not is_short) + has_rex + _memory(operands) + _immediate(mnemonic, operands)


def _memory(operands: str) -> int:
    found = _MEMORY.search(operands)
    if found is None:
        return 6 if "%gs:" in operands else 0
    displacement, names = found["displacement"], found["registers"].split(",")
    base = names[0].strip()
    size = int(len(names) > 1 or base in ("%rsp", "%esp", "%r12", "%r12d"))
    if found["segment"]:
        size += 1 if base == "%rip" else 2
    if not base or base == "%rip":
        return size + 4
    value = _value(displacement) if displacement else 0
    if value == 0:
        return size + (base in ("%rbp", "%ebp", "%r13", "%r13d"))
    return size + (1 if value in _NEAR else 4)


def _immediate(mnemonic: str, operands: str) -> int:
    if not operands.startswith("$"):
        return 0
    value = _value(operands[1:].partition(",")[0])
    if mnemonic == "movabsq":
        return 7
    if mnemonic.endswith("b") or mnemonic.startswith(("sh", "sa", "ro")):
        return 1
    return 1 if value in _NEAR and not mnemonic.startswith(("mov", "test")) else 4


def _value(text: str) -> int:
    """A symbol counts as a large number."""
    try:
        return int(text, 0)
    except ValueError:
        return 1 << 30
