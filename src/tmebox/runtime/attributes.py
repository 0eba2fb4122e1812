"""What every sandbox has, whatever its module exports."""

from __future__ import annotations

_OWN = """
array base call call_raw close closed column column_at empty_column
exports heap key_id listening memory module reset run snapshot
__del__ __dict__ __enter__ __exit__ __getattr__ __module__ __rich_repr__ __slots__ __weakref__
_begin _begin_again _export _facts _given _natives _program_ran _quick _repr_html_ _share _state _tenancy
"""

_OF_BOXES = """
callback cast checked errno free handle malloc new returning sizeof text variable
_carefully_new _names _text
"""

_OF_ANY_CLASS = "__annotations__"
"""Until Python 3.14, a class has it once somebody has asked it."""

SANDBOX_ATTRIBUTES = frozenset([*dir(object), _OF_ANY_CLASS, *_OWN.split()])
"""Exports of these names are reached by `exports`. They stand here, since modules know them before anybody
needs a sandbox; a test compares."""
BOX_ATTRIBUTES = SANDBOX_ATTRIBUTES.union(_OF_BOXES.split())
"""The same of boxes."""
