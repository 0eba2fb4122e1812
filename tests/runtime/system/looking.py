"""A function that makes a call of the core's and stores every register that a sandbox can see afterwards."""

from __future__ import annotations

import struct

GENERAL = ("rcx", "rsi", "rdi", "r8", "r9", "r10")
VECTORS = range(16)
ONES, ZEROS = b"\xff" * 16, bytes(16)
SIZE_BYTES = 64 + 16 * len(VECTORS)


def look(number: int) -> str:
    """Assembly of `look(found, a, b, c, d)`. Before the call of `number` all vector registers are ONES."""
    return f"""\
	.text
	.globl	look
	.type	look, @function
look:
	pushq	%rbx
	movq	%rdi, %rbx
{"".join(f"	pcmpeqd	%xmm{n}, %xmm{n}" + chr(10) for n in VECTORS)}
	movl	${number}, %edi
	xorl	%r9d, %r9d
	call	__tmebox_syscall
	movq	%rax, (%rbx)
	movq	%rdx, 8(%rbx)
{"".join(f"	movq	%{name}, {16 + 8 * n}(%rbx)" + chr(10) for n, name in enumerate(GENERAL))}
{"".join(f"	movdqu	%xmm{n}, {64 + 16 * n}(%rbx)" + chr(10) for n in VECTORS)}
	popq	%rbx
	ret
	.size	look, .-look
"""


def seen(found: bytes) -> tuple[tuple[int, int], set[bytes]]:
    """What came back in rax and rdx, and what was in vector registers. The others are zero."""
    first, second, *general = struct.unpack_from("<8q", found)
    assert general == [0] * len(GENERAL)
    return (first, second), {found[64 + 16 * n : 80 + 16 * n] for n in VECTORS}
