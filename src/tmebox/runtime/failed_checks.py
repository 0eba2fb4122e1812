"""Why a sandbox stops at a `ud2`: a check of the compiler's has failed (-ftrapv, -fsanitize=…), or assembly
has an instruction there that no sandbox has."""

from __future__ import annotations

from typing import Protocol

from tmebox.abi import TRAP_REASON, TRAP_UNPROMISED


class Code(Protocol):
    """Machine code, byte for byte, where there is any."""

    def code_byte(self, address: int) -> int | None: ...


UNKNOWN = "illegal instruction (or __builtin_trap)"
UNPROMISED = (
    "an instruction that no sandbox has, such as one of AVX-512, as the assembly's compilation warned: cpuid "
    "does not promise it"
)
_UD2 = b"\x0f\x0b"
_MOVE = b"\xb8"
"""`movl $…, %eax`, which nothing ever runs: what the rewriter puts behind a `ud2` that has a reason."""

REASONS = {
    0: "signed or unsigned overflow in an addition",
    1: "__builtin_unreachable was reached",
    2: "a call through a pointer of the wrong type",
    3: "division by zero, or a quotient that overflows",
    5: "a floating-point value that the integer type does not have",
    6: "a call through a pointer to a function of another type",
    7: "an implicit conversion that changes the value",
    8: "an argument for which the builtin function is undefined",
    10: "a value that its type, bool or an enumeration, does not have",
    11: "the end of a function that should have returned a value",
    12: "signed or unsigned overflow in a multiplication",
    13: "overflow in a negation",
    14: "a null pointer as an argument that is declared not to be null",
    15: "a null pointer returned by a function that is declared not to return one",
    16: "a null pointer as an argument that is declared not to be null",
    17: "a null pointer returned by a function that is declared not to return one",
    18: "an index out of an array's bounds",
    19: "pointer arithmetic that overflows, or on a null pointer",
    20: "a shift by less than zero or as many bits as there are, or of a bit into the sign",
    21: "signed or unsigned overflow in a subtraction or negation",
    22: "an access through a pointer that is null, misaligned or to too small an object",
    23: "a pointer that is not aligned as was promised",
    24: "a variable-length array whose length is not positive",
}
"""clang's numbers of its checks: the list SANITIZER_HANDLER of clang 19's code generator."""


def failed_check(text: Code | None, address: int) -> str:
    """What to say of an illegal instruction at `address`. The bytes are the module's, and may be any."""
    if text is None:
        return UNKNOWN
    code = bytes(byte for i in range(7) if (byte := text.code_byte(address + i)) is not None)
    value = int.from_bytes(code[3:7], "little")
    if not code.startswith(_UD2 + _MOVE) or value & ~0xFF != TRAP_REASON:
        return UNKNOWN
    if value & 0xFF == TRAP_UNPROMISED:
        return UNPROMISED
    reason = REASONS.get(value & 0xFF)
    return f"a check that the compiler put in failed: {reason or f'number {value & 0xFF}'}"
