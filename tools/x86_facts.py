"""Print the table of facts about x86 instructions: `python tools/x86_facts.py CHECKOUT`, one of Intel XED.

The output is tests/campaign/facts/x86.txt. Only what is known about an encoding is taken: which registers,
flags and memory it reads and writes. Kept are the instructions whose mnemonic the verifier names, so a
mnemonic that is added there needs a new run. What reads the table says what its columns mean
(tests/campaign/x86_facts_table.py).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from iced_x86 import Code, Mnemonic

from tmebox.verify import instructions as known

_DROPPED: Final = re.compile(r"/(knc|knl|apx-f|mpx|avx512\w*|avx10[^/]*|ace-1|sgx\w*|amd)/|evex|gfni-sse")
"""Files that say nothing of legacy and VEX encodings, or replace another file's for one old CPU."""
_ASSUMED: Final = {
    "TZCNT": "1", "LZCNT": "1", "CET": "1", "P4": "1", "CLDEMOTE": "1", "WBNOINVD": "1", "MODE": "2",
    "SMODE": "2", "REX2": "0", "NOREX2": "1",
}  # fmt: skip
"""What the CPU is like; everything else that a pattern asks for and that is no part of an encoding is 0."""
_MACROS: Final = {
    "mode64": "", "norex2_prefix": "", "not64": "MODE=1", "mode16": "MODE=0", "mode32": "MODE=1",
    "rex2_refining_prefix": "REX2=1", "no_refining_prefix": "rep=0 osz=0",
    "osz_refining_prefix": "rep=0 osz=1", "f2_refining_prefix": "rep=2", "f3_refining_prefix": "rep=3",
    "refining_f3": "rep=3", "not_refining": "rep=0", "not_refining_f3": "rep!=3", "no66_prefix": "osz=0",
    "66_prefix": "osz=1", "norep": "rep=0", "repe": "rep=3", "repne": "rep=2", "rexw_prefix": "w=1",
    "norexw_prefix": "w=0", "W1": "w=1", "W0": "w=0", "lock_prefix": "lock=1", "nolock_prefix": "lock=0",
    "rexb_prefix": "b=1", "norexb_prefix": "b=0", "rexb4_prefix": "REXB4=1", "norexb4_prefix": "",
    "eamode16": "asz=16", "eamode32": "asz=32", "eamode64": "asz=64", "eanot16": "", "VNP": "pp=0",
    "V66": "pp=1", "VF3": "pp=2", "VF2": "pp=3", "VL128": "vl=0", "VL256": "vl=1", "NOVSR": "v=15",
    "MOD[mm]": "", "MOD!=3": "mod!=3", "MOD=3": "mod=3", "MOD[0b11]": "", "REG[rrr]": "", "RM[nnn]": "",
    "SRM[rrr]": "", "REP=0": "rep=0", "REP=2": "rep=2", "REP=3": "rep=3", "REP!=3": "rep!=3",
    "RM=4": "rm=4", "SRM=0": "srm=0", "SRM!=0": "srm!=0",
}  # fmt: skip
_FIELDS: Final = {"R": "reg", "B": "rm", "N": "v", "SB": "srm", "SE": "is4"}
_REGISTERS: Final = {
    "OrAX": "rax", "OeAX": "rax", "OrDX": "rdx", "OrBP": "rbp", "OrSP": "rsp", "ArAX": "rax", "ArBX": "rbx",
    "ArCX": "rcx", "ArSI": "rsi", "ArDI": "rdi", "ArBP": "rbp", "rIP": "rip", "EFLAGS": "rflags",
    "FLAGS": "rflags", "X87POP2": "x87pop",
}  # fmt: skip
_WHOLE: Final = {
    short: f"r{letters}"
    for letters in ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "ip")
    for short in (f"r{letters}", f"e{letters}", letters, f"{letters[0]}l", f"{letters[0]}h")
}
_MARKS: Final = {
    "MASKOP": "masked", "PREFETCH": "prefetch", "RING0": "ring0", "LOCKABLE": "lockable",
    "GATHER": "gather", "INDIRECT_BRANCH": "indirect", "NONTEMPORAL": "nontemporal",
}  # fmt: skip
_CATEGORIES: Final = {"COND_BR": "branch", "UNCOND_BR": "jump", "CALL": "call", "RET": "return"}
_NAMES: Final = {
    "CALL_NEAR": "call", "RET_NEAR": "ret", "FWAIT": "wait", "MOVSD_XMM": "movsd", "CMPSD_XMM": "cmpsd",
    "PEXTRW_SSE4": "pextrw", "JZ": "je", "JNZ": "jne", "JNB": "jae", "JNBE": "ja", "JNL": "jge",
    "JNLE": "jg",
}  # fmt: skip
_SYNONYMS: Final = {"z": "e", "nz": "ne", "nb": "ae", "nbe": "a", "nl": "ge", "nle": "g"}


def main(checkout: Path) -> None:
    names = _named()
    rows: dict[tuple[str, ...], set[str]] = {}
    widths = _widths(checkout)
    for key, conditions, facts in _rows(checkout, widths):
        if facts[0] in names:
            rows.setdefault((key, *facts), set()).add(conditions)
    lines = sorted(
        f"{key} | {conditions} | " + " | ".join(facts)
        for (key, *facts), alternatives in rows.items()
        for conditions in _merged(alternatives)
    )
    print(_header(checkout), *lines, sep="\n")


def _header(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    commit = found or "of an unknown commit"
    return "\n".join(
        [
            "# Facts about x86 instructions, made by tools/x86_facts.py from Intel XED's data files.",
            f"# Source: github.com/intelxed/xed, commit {commit}, datafiles/**/*.txt;",
            "# those are under the Apache License 2.0, Copyright (c) Intel Corporation. Here are only facts.",
            "# Columns: encoding | conditions | mnemonic | operands | flags | marks: see x86_facts_table.py.",
        ]
    )


def _named() -> set[str]:
    mnemonics = {number: name.lower() for name, number in vars(Mnemonic).items() if name.isupper()}
    codes = {number: name for name, number in vars(Code).items() if name.isupper()}
    of_codes = {codes[number].partition("_")[0].lower() for number in known.CODES}
    return {mnemonics[number] for number in known.MNEMONICS} | of_codes | {"ret", "push"}


def _merged(alternatives: set[str]) -> set[str]:
    """The same, with two that differ in nothing but one bit written as one without it."""
    for pair in (("vl=0", "vl=1"), ("w=0", "w=1"), ("osz=0", "osz=1"), ("asz=32", "asz=64")):
        for conditions in sorted(alternatives):
            terms = conditions.split()
            other = " ".join(sorted(pair[1] if term == pair[0] else term for term in terms))
            if pair[0] in terms and other in alternatives:
                alternatives = alternatives - {conditions, other}
                alternatives |= {" ".join(term for term in terms if term != pair[0])}
    return alternatives


def _widths(checkout: Path) -> dict[str, str]:
    """The bytes of an operand by the name of its width: at most, of those in 64-bit code."""
    widths = {}
    for file in sorted((checkout / "datafiles").rglob("*operand-width*.txt")):
        for line in file.read_text().splitlines():
            fields = line.partition("#")[0].split()
            if len(fields) > 2:
                sizes = [
                    int(size.removesuffix("bits")) for size in fields[2:] if size.rstrip("bits").isdigit()
                ]
                in_bits = fields[2].endswith("bits")
                widths[fields[0]] = str(max(sizes, default=0) // (8 if in_bits else 1))
    return widths


def _rows(checkout: Path, widths: dict[str, str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    files = sorted((checkout / "datafiles").rglob("*.txt"))
    texts = [file.read_text() for file in files if not _DROPPED.search(str(file.relative_to(checkout)))]
    texts = [re.sub(r"\\\n", " ", re.sub(r"#.*", "", text)) for text in texts if "INSTRUCTIONS()" in text]
    versions: dict[str, int] = {}
    for text in texts:
        for name, version in re.findall(r"^ICLASS\s*:\s*(\w+)\s*^VERSION\s*:\s*(\d+)", text, re.MULTILINE):
            versions[name] = max(versions.get(name, 0), int(version))
    replaced = {name for text in texts for name in re.findall(r"^UDELETE\s*:\s*(\w+)", text, re.MULTILINE)}
    for text in texts:
        for block in re.findall(r"^\{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            yield from _rows_of(block, widths, replaced, versions)


def _rows_of(
    block: str, widths: dict[str, str], replaced: set[str], versions: dict[str, int]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    entries = re.findall(r"^[ \t]*(\w+)[ \t]*:[ \t]*(.*?)[ \t]*$", block, re.MULTILINE)
    about = dict(entries)
    if about.get("UNAME") in replaced or int(about.get("VERSION", "0")) < versions.get(about["ICLASS"], 0):
        return
    patterns = [value for name, value in entries if name == "PATTERN"]
    operands = [value for name, value in entries if name == "OPERANDS"]
    for pattern, description in zip(patterns, operands, strict=False):
        encoding = _encoding(pattern)
        if encoding:
            # XED names one attribute for what any of its forms does, so a mark is of the form only with
            # memory.
            yield (
                *encoding,
                (
                    _mnemonic(about["ICLASS"], encoding[0]),
                    " ".join(filter(None, (_operand(term, widths) for term in description.split()))),
                    _flags(about.get("FLAGS", "")),
                    " ".join(_marks(about)),
                ),
            )


def _encoding(pattern: str) -> tuple[str, str] | None:
    """The key and the conditions of an encoding in 64-bit mode; None if it has none in legacy or VEX
    space."""
    terms = pattern.split()
    space = "V" if "VV1" in terms else "L"
    opcodes: list[str] = []
    conditions: set[str] = set()
    map_number = None
    for term in terms:
        if term in ("EVV", "KVV", "XOPV") or term.startswith("XMAP"):
            return None
        if term in ("V0F", "V0F38", "V0F3A"):
            map_number = ("V0F", "V0F38", "V0F3A").index(term) + 1
        elif term in _MACROS:
            conditions.update(_MACROS[term].split())
        elif re.fullmatch(r"0x[0-9A-Fa-f]{2}", term):
            opcodes.append(term[2:].lower())
        elif found := re.fullmatch(r"0b([01]{4})_([01])", term):
            opcodes.append(f"{int(found[1] + found[2] + '000', 2):02x}+")
        elif found := re.fullmatch(r"(REG|RM|SRM)\[0b([01]{3})\]", term):
            conditions.add(f"{found[1].lower()}={int(found[2], 2)}")
        elif re.fullmatch(r"[A-Z0-9_]+!?=\d+", term):
            conditions.add(term)
    if space == "L":
        map_number, opcodes = _legacy_map(opcodes)
    for term in [term for term in conditions if term[0].isupper()]:
        conditions.discard(term)
        name, differs, value = re.fullmatch(r"(\w+?)(!?)=(\d+)", term).groups()  # type: ignore[union-attr]
        if (_ASSUMED.get(name, "0") == value) == bool(differs):
            return None
    if "SRM[0b000]" in terms and opcodes[0].endswith("+"):
        conditions.add("srm=0")
    return f"{space}{map_number} {opcodes[0]}", " ".join(sorted(conditions))


def _legacy_map(opcodes: list[str]) -> tuple[int, list[str]]:
    if opcodes[:2] in (["0f", "38"], ["0f", "3a"]):
        return (2 if opcodes[1] == "38" else 3), opcodes[2:]
    return (1, opcodes[1:]) if opcodes[0] == "0f" else (0, opcodes)


def _mnemonic(iclass: str, key: str) -> str:
    name = re.sub(r"^(REPE|REPNE|REP)_|_LOCK$", "", iclass)
    name = _NAMES.get(name, name.lower())
    if found := re.fullmatch(r"(cmov|set)(.+)", name):
        name = found[1] + _SYNONYMS.get(found[2], found[2])
    return name


def _operand(term: str, widths: dict[str, str]) -> str | None:
    name, *details = term.split(":")
    name, _, value = name.partition("=")
    access = details[0] if details else ""
    if name in ("MEM0", "MEM1"):
        width = next((widths[detail] for detail in details[1:] if detail in widths), "0")
        implicit = "implicit" if "SUPP" in details else "operand"
        return f"{implicit}:{access}:{width}"
    if name == "AGEN":
        return "computed:-:0"
    if name in ("BASE0", "BASE1", "INDEX") or name.startswith("REG"):
        return _register(value, access)
    return None


def _register(value: str, access: str) -> str | None:
    fixed = value.removeprefix("XED_REG_")
    if fixed != value:
        low = fixed.lower()
        return None if fixed == "INVALID" else f"{_REGISTERS.get(fixed, _WHOLE.get(low, low))}:{access}"
    name = value.removesuffix("()")
    if name in _REGISTERS:
        return f"{_REGISTERS[name]}:{access}"
    if name == "X87":
        return f"st.rm:{access}"
    if found := re.fullmatch(r"V?(GPR8|GPR|XMM|YMM|MMX|CR|DR|SEG)\w*?_(R|B|N|SB|SE)", name):
        kind = {"GPR": "gpr", "GPR8": "gpr8", "XMM": "vec", "YMM": "vec"}.get(found[1], found[1].lower())
        return f"{kind}.{_FIELDS[found[2]]}:{access}"
    if name.startswith("SEG"):
        return f"seg.reg:{access}"
    return f"{name.lower()}:{access}"  # what no kept row has, or else its reader does not know


def _flags(text: str) -> str:
    """What may happen, of all the cases: "may" if not all of it does in all of them."""
    done = {"r": set(), "w": set()}  # type: dict[str, set[str]]
    for flag, action in re.findall(r"\b(\w+)-(\w+)\b", text):
        done["r" if action == "tst" else "w"].add(flag)
    words = [f"{action}:{','.join(sorted(flags))}" for action, flags in done.items() if flags]
    depends = "MAY" in text or text.count("[") > 1
    return " ".join((["may"] if depends and done["w"] else []) + words)


def _marks(about: dict[str, str]) -> list[str]:
    attributes = about.get("ATTRIBUTES", "").upper().split()
    marks = {mark for name, mark in _MARKS.items() if name in attributes}
    if about.get("CPL") != "3":
        marks.add("ring0")
    if about["CATEGORY"] in _CATEGORIES:
        marks.add(_CATEGORIES[about["CATEGORY"]])
    if about["CATEGORY"] in ("NOP", "WIDENOP"):
        marks.add("nop")
    return sorted(marks)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
