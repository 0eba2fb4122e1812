"""Every number that the host and the Python guest share. The guest's C gets them from a generated header.

A *mailbox* is one page of the sandbox's arena, which both sides write. A *value* is a tag, one byte, and what
belongs to it; sizes and counts are 32 bits, little-endian.
"""

from __future__ import annotations

PROTOCOL = 3
"""Another one where anything below changes its meaning: host and guest come from different wheels."""

# -- fields of the mailbox, by their offset in it -----------------------------------------------------
MAILBOX_SIZE = 4096
INTERRUPT = 0  # u32: not 0: raise KeyboardInterrupt at the next instruction that looks
LINES = 4  # u32: not 0: hand on output at the end of each line
PRINTED = 8  # u32: bytes of output in the buffer
FAKE_CLOCK = 12  # u32: not 0: clocks show CLOCK, and only what the guest does moves it
INSTRUCTIONS_LEFT = 16  # i64: what the guest may still execute
OUTPUT_LEFT = 24  # u64: bytes that the guest may still print
EACH_RUN_END = 32  # all up to here is written anew for each run
CLOCK = 32  # u64: nanoseconds
SEED = 40  # u64
RESULT = 48  # u32: window offset of a value, or of a request for the host
RESULT_SIZE = 52  # u32
GENERATION = 56  # u64: arrays of the host that were passed under another number are gone
HAS_MODULES = 64  # u32: not 0: an import asks the host
UNSEEDED = 68  # u32: not 0: `random` goes on from where others may have gone on
OUTPUT = 72  # the buffer for output
OUTPUT_SIZE = 1976
TRANSFER = 2048  # short values from the host
TRANSFER_SIZE = 2048

# -- what the host asks of the guest ------------------------------------------------------------------
RUN = 0  # (source, filename) → value of the last statement, if it is an expression
EVALUATE = 1  # (source, filename) → value of the expression
GET = 2  # (name,) → value of the global
SET = 3  # (name, value)
DELETE = 4  # (name,)
CALL = 5  # (name, arguments, keywords) → result
NAMES = 6  # () → names of the globals
OFFER = 7  # (name, …): globals that call functions of the host
INTERACT = 8  # as RUN, and the value is printed

# -- how it ends --------------------------------------------------------------------------------------
DONE = 0  # RESULT has the value
RAISED = 1  # RESULT has (type, message, traceback, number of the host's exception, bases)
SPENT = 2  # INSTRUCTIONS_LEFT was used up
OPAQUE = 3  # RUN only: the value is none that can be handed out; RESULT has (type, repr)

# -- what the guest asks of the host ------------------------------------------------------------------
# A reply that is a value is there until the next request that has one, by when the guest has read it.
HOST_CALL = 0  # RESULT: (name, arguments, keywords) → value or FAILED
HOST_PRINT = 1  # takes the output buffer
HOST_SLEEP = 2  # for CLOCK nanoseconds
HOST_CLOCK = 3  # CLOCK := now, nanoseconds since 1970
HOST_TICKS = 4  # CLOCK := nanoseconds of a clock that never goes back
HOST_MODULE = 5  # RESULT: name → source, None or FAILED
HOST_SEED = 6  # SEED := random bits

# -- tags ---------------------------------------------------------------------------------------------
NONE = 0
FALSE = 1
TRUE = 2
INT = 3  # i64
BIG = 4  # size, then a two's complement number
FLOAT = 5  # f64
STR = 6  # size, then UTF-8
BYTES = 7  # size, then bytes
LIST = 8  # count, then values
TUPLE = 9  # count, then values
DICT = 10  # count, then key, value, …
ARRAY = (
    11  # u32 number or offset, u64 generation, type, dimensions, u32 offset, then (i64 length, i64 stride)…
)
DATA = 12  # an array's contents: type, dimensions, u32 size, i64 lengths, then bytes
FAILED = 13  # of a host function: number, type's name, message
BYTEARRAY = 14  # size, then bytes

DEEPEST = 64
"""Levels of nesting that a value may have."""
MOST_DIMENSIONS = 4

# -- element types of arrays --------------------------------------------------------------------------
ELEMENTS = "?bBhHiIqQfd"
"""By their code: as in `struct`. The place in this text is what crosses."""


def header() -> str:
    """The numbers for C."""
    numbers = {name: value for name, value in globals().items() if name.isupper() and isinstance(value, int)}
    lines = [
        "/* Generated from wire.py. */",
        *(f"#define WIRE_{name} {value}" for name, value in numbers.items()),
    ]
    return "\n".join([*lines, f'#define WIRE_ELEMENTS "{ELEMENTS}"', ""])
