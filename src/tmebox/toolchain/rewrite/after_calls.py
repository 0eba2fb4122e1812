"""What functions give back where no compiler looks for it: in r11, and in the flags.

The check of a return overwrites both. By the system's convention they hold nothing after a call. But assembly
that people write may have functions of its own that keep r11, or give back a value in it. Where a text reads
r11 after a call, all of its returns leave r11 below the red zone, and it is fetched after each call. The
flags are not kept: a text that reads them after a call is refused. A compiler's labels end this: it goes by
the convention, and what stands below a call of a function that does not return comes from elsewhere, flags
and all.
"""

from __future__ import annotations

from tmebox.abi import SPILL_REGISTER
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.analysis.liveness import R11_BIT
from tmebox.toolchain.rewrite.mnemonics import FLAGS
from tmebox.toolchain.rewrite.replacement import Refusal, Replacement, Shape, lines

LOST = FLAGS | R11_BIT
BEFORE_RETURN = lines(f"movq %r11, {SPILL_REGISTER}(%rsp)")
AFTER_CALL = lines(f"movq {SPILL_REGISTER - 8}(%rsp), %r11")
"""The return took the address from the stack."""
_R11 = regex(r"%r11[dwb]?\b")


class R11KeptError(Exception):
    """The text wants r11 to be kept by its functions."""


def followed(replacement: Replacement, lost: int, keeps_r11: bool) -> int:
    """What of r11 and the flags is lost after an instruction, given what is lost before it.

    Raises R11KeptError, unless it is kept, and Refusal.
    """
    flow = replacement.flow
    if replacement.flow.calls:
        return FLAGS if keeps_r11 else LOST
    if not lost or not flow.falls_through:
        return 0
    if flow.reads & lost & FLAGS:
        raise Refusal("the flags are read after a call, and functions of a sandbox leave nothing there")
    is_own = replacement.shape is Shape.PLAIN and replacement.scratch is None
    if is_own and flow.reads & lost & R11_BIT and _R11.search(replacement.text):
        raise R11KeptError
    return lost & ~flow.kills
