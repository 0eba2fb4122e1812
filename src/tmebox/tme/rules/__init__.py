"""The rules that the model follows: one table. Each has a name, where it stands, what it says, and the test
that holds it.

`basis` says how much is known. "public": a public document says so. "inferred": public documents leave it
open, and the model decides; where they contradict each other, an option decides. Nobody can say what a part
really does from this table.
"""

from __future__ import annotations

from tmebox.tme.rules import access, configuration, heap
from tmebox.tme.rules.rule import Basis as Basis
from tmebox.tme.rules.rule import Rule as Rule

DOCUMENTS = {
    "AMET": "Intel Architecture Memory Encryption Technologies Specification, revision 1.4 (336907-004)",
    "SDM": "Intel 64 and IA-32 Architectures Software Developer's Manual, volumes 2 to 4",
    "TDX": "Intel TDX Module Base Architecture Specification",
    "VT-d": "Intel Virtualization Technology for Directed I/O Architecture Specification",
    "FIPS 202": "SHA-3 Standard, NIST 2015",
    "SP 800-38E": "The XTS-AES Mode, NIST 2010, by reference to IEEE 1619",
    "TME-Box": "Unterguggenberger et al., TME-Box, NDSS 2025",
    "IntegriTag": "the code published with IntegriTag, EuroS&P 2024",
    "Linux": "the MKTME series of 2018 and 2019",
    "model": "decided here",
}


RULES = {row.name: row for row in (*configuration.ROWS, *heap.ROWS, *access.ROWS)}

ONLY_HARDWARE_KNOWS = (
    "when a machine check is delivered, and to which instruction; here it is the access itself",
    "how long anything takes; nothing here has a duration",
    "how the engine joins MAC key, cipher text, tweak and TD bit, and which 28 of the 256 bits it keeps",
    "how the address becomes the XTS data unit, and how memory's channels are interleaved",
    "where the MAC, the TD bit and poison are kept, and whether an attacker at the DIMM can write them",
    "what a part without coherent aliases does when two of them are dirty, beyond losing one",
    "whether an ownership read faults, poisons, or is dropped, on each stepping",
    "which stores of a part of a line poison it on parts whose errata say so",
    "what stays in caches and buffers over a reset, and for how long DRAM stays readable without power",
    "speculation, prefetching, and every side channel",
)
"""What no public document says, and no model can."""


def markdown() -> str:
    """The table as docs/tme.md has it."""
    lines = ["| rule | where | what it says | basis |", "|---|---|---|---|"]
    lines += [f"| `{rule.name}` | {rule.section} | {rule.says} | {rule.basis} |" for rule in RULES.values()]
    return "\n".join(lines)
