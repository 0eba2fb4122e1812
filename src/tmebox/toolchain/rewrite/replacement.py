"""What one instruction becomes: worked out once per distinct instruction, placed many times."""

from __future__ import annotations

from enum import Enum

from tmebox.abi import SPILL_REGISTER
from tmebox.records import dataclass
from tmebox.toolchain.rewrite.asm import PREFIXES, Instruction, Memory


class Refusal(Exception):
    """An instruction or directive that cannot be made safe, and why."""


LOCAL_LABEL = "{label}"
"""In a replacement's text: stands for one label that the emitter makes up."""


class Shape(Enum):
    """How the driver places a replacement."""

    PLAIN = "plain"
    ADJUST = "adjust"
    """Moves rsp by at most `reach` bytes and does not access the stack."""
    REBASE = "rebase"
    BRANCH = "branch"
    CALL = "call"
    RETURN = "return"
    INDIRECT = "indirect"
    CHECKED = "checked"
    """Behind a check that needs the flags, and nothing else."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What liveness needs to know of the instruction as it was written.

    reads, kills: resources (see `liveness`) needed before it, and overwritten by it. writes: that it may
    change. bits: what a register it writes last is then below 2 to the power of, as far as that is known.
    target: label of a direct branch. falls_through: may go on to the next instruction. leaves: goes to code
    that the file does not show, a caller's or, at a tail call, another function's. calls: comes back.
    condition: the condition code it reads, if that is all it reads of the flags.
    takes: symbols whose address it uses as a value.
    """

    reads: int = 0
    kills: int = 0
    writes: int = 0
    bits: int = 64
    target: str | None = None
    falls_through: bool = True
    is_table_jump: bool = False
    leaves: bool = False
    calls: bool = False
    condition: str | None = None
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """An instruction that reads memory through registers, and writes none.

    place: of the memory operand. others: mask of the registers that the other operands need.
    overwritten: … of those that the instruction overwrites whole.
    """

    instruction: Instruction
    place: int
    memory: Memory
    others: int
    overwritten: int


@dataclass(frozen=True, slots=True)
class Replacement:
    """The instrumented instruction.

    text: lines of assembly, ready to print. anchor: surely accesses the stack near rsp.
    scratch: register whose value the lines overwrite and that has to be kept if it is live.
    can_spill: rsp is the same before and after, so that the scratch can be kept below the red zone.
    clobbers_flags: overwrites flags that the original instruction leaves alone.
    operand: of an indirect branch: its target, a 32-bit register or an instrumented memory operand.
    before: of an indirect branch: what has to precede it for the operand to be usable. Of what is CHECKED:
    the check.
    register: of an indirect branch: the 64-bit register that holds its target, if one does.
    mark: of an indirect jump: what a comment says it is for. through: the table that it goes through, and the
    64-bit register that is its index.
    constant: of a move of rsp by a constant: the instruction, where depths are verified.
    load: what it loads, if that could go through a borrowed register.
    is_compare: sets all flags, writes nothing else, and has nothing to do with rsp.
    """

    shape: Shape
    text: str
    flow: Flow
    anchor: bool = False
    reach: int = 0
    scratch: str | None = None
    can_spill: bool = True
    clobbers_flags: bool = False
    operand: str = ""
    before: str = ""
    register: str | None = None
    mark: str | None = None
    through: tuple[str, str] | None = None
    is_compare: bool = False
    constant: str = ""
    load: Load | None = None

    @property
    def is_fixed(self) -> bool:
        """The same lines wherever it stands."""
        return self.scratch is None and not self.clobbers_flags and "{" not in self.text


def lines(*instructions: str) -> str:
    """Instructions as `mnemonic operands`, and labels → lines of assembly."""
    return "\n".join(text if text.endswith(":") else _line(text) for text in instructions)


def _line(text: str) -> str:
    words = text.split(" ")
    count = 1 + (words[0] in PREFIXES)
    return "\t" + "\t".join([" ".join(words[:count]), *([" ".join(words[count:])] if words[count:] else [])])


def spilled(text: str, register: str) -> str:
    """`text` with `register` kept below the red zone meanwhile. rsp must be the same before and after."""
    slot = f"{SPILL_REGISTER}(%rsp)"
    return f"{lines(f'movq %{register}, {slot}')}\n{text}\n{lines(f'movq {slot}, %{register}')}"
