"""Rule `canonical-encoding`: the bytes are those that an assembler would choose for the instruction."""

from __future__ import annotations

from typing import Final

from iced_x86 import Encoder, Mnemonic, Register

from tmebox.verify import instructions as known
from tmebox.verify.decoded import Decoded

LEGACY_PREFIXES: Final = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")


def encoding_problem(decoded: Decoded) -> str | None:
    """Why the encoding is not canonical, or None.

    Encoding the decoded instruction anew yields exactly the prefixes that mean something, and all fields
    that mean nothing in their usual state. Prefixes that iced keeps through that round trip are named here.
    """
    instruction = decoded.instruction
    if instruction.has_repne_prefix or instruction.has_xacquire_prefix or instruction.has_xrelease_prefix:
        return "a repne, xacquire or xrelease prefix"
    if instruction.has_rep_prefix and instruction.code not in known.STRINGS:
        return "a rep prefix that repeats nothing"
    if instruction.segment_prefix != Register.NONE and not decoded.accesses_operand:
        pads = instruction.mnemonic == Mnemonic.NOP and instruction.segment_prefix == Register.CS
        if not pads:
            return "a segment prefix without a memory operand"
    if decoded.has_memory_operand and instruction.memory_displ_size == 4 and not decoded.address_registers:
        return "an address-size prefix without an address register"
    if instruction.memory_index_scale != 1 and instruction.memory_index == Register.NONE:
        return "a scale without an index register"
    encoder = Encoder(64)
    try:
        encoder.encode(instruction, 0)
    except ValueError as error:
        return f"it cannot be encoded again: {error}"
    again = encoder.take_buffer()
    is_nop = instruction.mnemonic == Mnemonic.NOP
    if again != decoded.encoding and _normal(again, is_nop) != _normal(decoded.encoding, is_nop):
        return "a prefix or field that is duplicated, ignored or out of place"
    return None


def _normal(encoding: bytes, is_nop: bool) -> tuple[bytes, bytes]:
    """Legacy prefixes, sorted because their order means nothing; and the rest, from REX on."""
    count = next((i for i, byte in enumerate(encoding) if byte not in LEGACY_PREFIXES), len(encoding))
    prefixes = encoding[:count]
    # Assemblers pad by repeating prefixes of a nop, and CPUs agree about those.
    return bytes(sorted(set(prefixes) if is_nop else prefixes)), encoding[count:]
