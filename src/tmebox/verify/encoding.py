"""Rule `canonical-encoding`: the bytes are those that an assembler would choose for the instruction."""

from __future__ import annotations

from typing import Final

from iced_x86 import Encoder, Mnemonic, Register

from tmebox.verify import rules
from tmebox.verify.decoded import Decoded
from tmebox.verify.rules import Refusal

LEGACY_PREFIXES: Final = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")


def encoding_refusal(decoded: Decoded) -> Refusal | None:
    """Encoding the decoded instruction anew yields exactly the prefixes that mean something, and all fields
    that mean nothing in their usual state. Prefixes that iced keeps through that round trip are named here.
    """
    problem = _kept(decoded) or _changed(decoded)
    return (rules.CANONICAL_ENCODING, problem) if problem else None


def _kept(decoded: Decoded) -> str | None:
    instruction, operand = decoded.instruction, decoded.operand
    if instruction.has_repne_prefix or instruction.has_xacquire_prefix or instruction.has_xrelease_prefix:
        return "a repne, xacquire or xrelease prefix"
    if instruction.has_rep_prefix and not decoded.opcode.is_string:
        return "a rep prefix that repeats nothing"
    if instruction.segment_prefix != Register.NONE and not decoded.accesses_operand:
        pads = instruction.mnemonic == Mnemonic.NOP and instruction.segment_prefix == Register.CS
        if not pads:
            return "a segment prefix without a memory operand"
    if operand is not None and operand.index == Register.NONE:
        if operand.base == Register.NONE and instruction.memory_displ_size == 4:
            return "an address-size prefix without an address register"
        if operand.scale != 1:
            return "a scale without an index register"
    return None


def _changed(decoded: Decoded) -> str | None:
    encoder = Encoder(64)
    try:
        encoder.encode(decoded.instruction, 0)
    except ValueError:
        return "it cannot be encoded again"
    again = encoder.take_buffer()
    if again == decoded.encoding:
        return None
    is_nop = decoded.instruction.mnemonic == Mnemonic.NOP
    if _normal(again, is_nop) == _normal(decoded.encoding, is_nop):
        return None
    return "a prefix or field that is duplicated, ignored or out of place"


def _normal(encoding: bytes, is_nop: bool) -> tuple[bytes, bytes]:
    """Legacy prefixes, sorted because their order means nothing; and the rest, from REX on."""
    count = next((i for i, byte in enumerate(encoding) if byte not in LEGACY_PREFIXES), len(encoding))
    prefixes = encoding[:count]
    # Assemblers pad by repeating prefixes of a nop, and CPUs agree about those.
    return bytes(sorted(set(prefixes) if is_nop else prefixes)), encoding[count:]
