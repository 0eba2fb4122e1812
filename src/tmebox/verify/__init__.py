"""The security boundary: decides from the final bytes alone whether machine code may run in a sandbox.

Reading order: `rules` (what must hold), `instructions` (what is known at all), `opcodes` and `decoded`
(asking the decoder), `encoding`, `memory`, `memory_r15` and `stack` (rules about one instruction),
`jump_tables` and `sequences` (instructions safe only together), `facts` (what an instruction has to do with
facts about registers), `bases` (what differs with the window's base in gs or r15), `forms` (all that one
instruction's bytes say), `reading` (from bytes to blocks of instructions), `facts_everywhere` (which facts
hold where), `tables_everywhere` (what jumps through tables can read), `verify` (rules about places and
neighbours), `verdicts` (what was verified before).
"""

from tmebox.verify.verdicts import verify_once
from tmebox.verify.verify import VerifiedText, verify

__all__ = ["VerifiedText", "verify", "verify_once"]
