"""What is done to a text once all of its instructions are placed: each step reads the finished assembly."""

from __future__ import annotations

from collections.abc import Set

from tmebox.errors import CompileError
from tmebox.toolchain.rewrite.depths import with_depths
from tmebox.toolchain.rewrite.processor import keeping_wide_vectors
from tmebox.toolchain.rewrite.replacement import Refusal
from tmebox.toolchain.rewrite.speed.cache_lines import within_lines
from tmebox.toolchain.rewrite.speed.held_base import with_held_bases
from tmebox.toolchain.rewrite.speed.offset_reuse import without_repeated_loads


def finished(text: str, arrivals: Set[str], made_by: tuple[bool, bool], *, form: str, file: str) -> str:
    """arrivals: labels where control may arrive. made_by: whether clang, and whether any compiler made it.
    form: see `abi.form`. Raises CompileError for a stack whose depth is not known."""
    is_clang, is_compiled = made_by
    if "%ymm" in text:
        text = keeping_wide_vectors(text)
    if form == "r15":
        text = without_repeated_loads(text, arrivals)
    elif is_clang:
        text = with_held_bases(text)
    if is_compiled:
        text = within_lines(text, arrivals)
    if form != "twin":
        return text
    try:
        return with_depths(text, is_compiled=is_compiled)
    except Refusal as refusal:
        raise CompileError(f"{file}: {refusal}") from None
