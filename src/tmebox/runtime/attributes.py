"""What every sandbox has, whatever its module exports; and which names of a module are attributes at all.

Whoever shows, converts or copies any object asks it for names with an underscore in front, and trusts what
it says: notebooks execute what `_repr_javascript_()` returns, templates do not escape `__html__()`, ctypes
takes `_as_parameter_` for an address. A module never answers for its sandbox there. Its other names are
attributes, also those that somebody may ask for who was given a sandbox for something else, such as `read`,
`keys` or `dtype`: what comes back are numbers, texts and pointers of the sandbox's, as from any call.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable

_OWN = """
array base call call_raw close closed column column_at empty_column
exports heap key_id listening memory module reset run snapshot
"""

_OF_BOXES = """
callback cast checked errno free handle malloc new returning sizeof text variable
"""

SANDBOX_ATTRIBUTES = frozenset(_OWN.split())
"""Exports of these names are reached by `exports`. They stand here, since modules know them before anybody
needs a sandbox; a test compares."""
BOX_ATTRIBUTES = SANDBOX_ATTRIBUTES.union(_OF_BOXES.split())
"""The same of boxes."""


def is_attribute(name: str) -> bool:
    """Whether what a module calls so may be an attribute."""
    return not name.startswith("_")


def listed_attributes(names: Iterable[str]) -> list[str]:
    """Those of the names that `dir()` lists: prompts complete what is typed with them, so they are nothing
    but names in Python."""
    return [n for n in names if is_attribute(n) and n.isidentifier() and not keyword.iskeyword(n)]
