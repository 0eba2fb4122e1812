"""What instrumented assembly still goes through when each instruction has been placed. It is read once
more, by everything that asks how control goes there."""

from __future__ import annotations

from collections.abc import Mapping, Set

from tmebox.records import dataclass
from tmebox.toolchain import steps
from tmebox.toolchain.rewrite.depths import Depths, with_depths
from tmebox.toolchain.rewrite.processor import keeping_wide_vectors
from tmebox.toolchain.rewrite.speed.cache_lines import within_lines
from tmebox.toolchain.rewrite.speed.encodings import shorter
from tmebox.toolchain.rewrite.speed.held_base import with_held_bases
from tmebox.toolchain.rewrite.speed.listing import read
from tmebox.toolchain.rewrite.speed.offset_reuse import without_repeated_loads


@dataclass(frozen=True)
class Origin:
    """is_clang, is_compiled: whose it is. base: "gs" or "r15". has_depth: the stack is the control stack.
    has_wide_vectors: it names registers of 32 bytes."""

    is_clang: bool
    is_compiled: bool
    base: str
    has_depth: bool
    has_wide_vectors: bool


def finished(text: str, origin: Origin, arrivals: Set[str], pads: Mapping[str, str]) -> str:
    """`arrivals`: labels that a branch names, or whose address is taken. pads: of landing pads, a label where
    the stack is as deep. Raises Refusal."""
    if origin.is_compiled:
        text = shorter(text)
    steps.look()
    if origin.has_wide_vectors:
        text = keeping_wide_vectors(text)
    if origin.base == "r15":
        text = without_repeated_loads(text, arrivals)
    depths: Depths | None = None
    listing = read(text) if origin.is_clang and origin.base == "gs" else None
    if listing is not None:
        text, claimed = with_held_bases(listing)
        if origin.has_depth and not listing.numbered:
            depths = Depths(listing, claimed, pads)
    steps.look()
    if origin.is_compiled:
        text = within_lines(text, arrivals)
    if depths is not None:
        return depths.added_to(text)
    return with_depths(text, pads, is_compiled=origin.is_compiled) if origin.has_depth else text
