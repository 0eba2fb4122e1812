"""The rules of the verifier: each a fact that holds for every instruction of a verified text.

Which file holds a rule:

- `known-instruction`, `no-privileged-instruction`: instructions.py, by way of opcodes.py
- `canonical-encoding`: encoding.py
- `segment-registers-untouched`: forms.py
- `memory-through-gs`, `stack-access-bounded`: memory.py
- `memory-through-r15`, `reserved-registers-kept`: memory_r15.py
- `rsp-stays-in-private-half`: stack.py and stack_everywhere.py
- `stack-depth-known`: depth.py and depth_everywhere.py; of labels also targets.py
- `target-is-instruction-start`: targets.py
- `string-instruction-rebased`, `return-checked`, `indirect-branch-checked`: sequences.py
- `claims-about-registers-hold`: facts.py and facts_everywhere.py
- all others: verify.py
"""

Refusal = tuple[str, str]
"""The rule that something breaks, and how."""

KNOWN_INSTRUCTION = "known-instruction"
"""The bytes decode to an instruction that a table names. Everything else is denied."""

CANONICAL_ENCODING = "canonical-encoding"
"""The instruction is encoded as an assembler encodes it: no prefix that is duplicated, unused or conflicting.
CPU vendors disagree about what such prefixes do, even about the instruction's length."""

NO_PRIVILEGED_INSTRUCTION = "no-privileged-instruction"
"""No instruction talks to the kernel, to devices or to state that the sandbox does not own."""

SEGMENT_REGISTERS_UNTOUCHED = "segment-registers-untouched"
"""No instruction reads or writes a segment register or its base: gs is what confines memory accesses."""

MEMORY_THROUGH_GS = "memory-through-gs"
"""Every memory access but plain stack accesses is in the window: gs-relative with a 32-bit address, or
through a register that is known to hold the window's base there, with an index that is known to be small."""

CLAIMS_ABOUT_REGISTERS_HOLD = "claims-about-registers-hold"
"""Each claim about a register is about an instruction where only this text's direct branches, jumps through
tables and the instruction before can lead, and it holds on each of those ways."""

MEMORY_THROUGH_R15 = "memory-through-r15"
"""With the base in r15: every memory access but plain stack accesses is r15 plus a constant in [0, 2 GiB), or
r15 plus r14 plus a displacement of at most R15_REACH: it is in the window or its guards."""

RESERVED_REGISTERS_KEPT = "reserved-registers-kept"
"""With the base in r15: nothing writes r15, and r14 is only written by a 32-bit `mov` or `lea`, so that its
upper half is always zero."""

STACK_ACCESS_BOUNDED = "stack-access-bounded"
"""Every access through rsp is `disp(%rsp)` with |disp| at most STACK_REACH, and no segment override."""

RSP_STAYS_IN_PRIVATE_HALF = "rsp-stays-in-private-half"
"""rsp changes only by pushes and pops, by adjustments that accesses keep in check, or by rebase sequences."""

STRING_INSTRUCTION_REBASED = "string-instruction-rebased"
"""`stos` and `movs` stand at the end of the sequence that turns their pointers into window addresses."""

STACK_DEPTH_KNOWN = "stack-depth-known"
"""On the control stack: wherever rsp is moved or written through, and wherever control goes to or returns, it
is known how far below the function's return address rsp is; and nothing but calls writes at or above it."""

RETURN_CHECKED = "return-checked"
"""`ret` stands at the end of the sequence that checks its target."""

INDIRECT_BRANCH_CHECKED = "indirect-branch-checked"
"""An indirect call or jump stands at the end of a sequence that checks its target."""

BRANCH_TO_INSTRUCTION_START = "branch-to-instruction-start"
"""A direct branch goes to the start of a decoded instruction of the same text, or to a gate."""

NO_BRANCH_INTO_SEQUENCE = "no-branch-into-sequence"
"""No direct branch and no claimed target skips the beginning of a sequence."""

TEXT_DOES_NOT_FALL_OFF = "text-does-not-fall-off"
"""Control cannot run over the end of the text, neither from its last instruction nor by a return."""

CONTROL_ENDS_REGULARLY = "control-ends-regularly"
"""No 2^18 instructions follow each other without one that ends control (`jmp`, `ret`, `hlt`, `ud2`): so many
are looked at at a time."""

TABLE_WITHIN_TEXT = "table-within-text"
"""A jump through a table reads no more of it than is among the tables at the text's end: the bound that its
sequence compares with says how far, or a fact about its index."""

TABLE_LEADS_TO_INSTRUCTIONS = "table-leads-to-instructions"
"""Each entry of the tables at the text's end is the address of an instruction of the text that control may
arrive at: one that starts there, and not inside a sequence."""

TARGET_IS_INSTRUCTION_START = "target-is-instruction-start"
"""Each claimed indirect-branch target is the start of a decoded instruction of the text."""

TEXT_IN_CODE_REGION = "text-in-code-region"
"""The text lies in the code region, below the gate page, and is not larger than TEXT_MAX."""

ALL = tuple(value for name, value in sorted(globals().items()) if name.isupper() and isinstance(value, str))
