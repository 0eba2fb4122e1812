"""The core answers some host calls while MXCSR and the x87 state are still the sandbox's, which may have
unmasked every exception. So no machine code of the core computes with floating-point numbers, but for what
runs under Python's lock, where that state is the host's again, and for the assembly that exchanges it.
What the gate calls without keeping and clearing vector registers touches none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from iced_x86 import Decoder, InstructionInfoFactory, Mnemonic, RegisterExt

from tmebox import _native

NATIVE = Path(__file__).parents[2] / "native"
_NAMES = {number: name for name, number in vars(Mnemonic).items() if isinstance(number, int)}
_COMPUTES = re.compile(
    r"V?(ADD|SUB|MUL|DIV|SQRT|MIN|MAX|CMP|UCOMI|COMI|ROUND|RCP|RSQRT|HADD|HSUB|ADDSUB|DP)(SS|SD|PS|PD)"
    r"|V?FN?M(ADD|SUB)\w+|V?CVT\w+|V?(LD|ST)MXCSR|F(?!XSAVE|XRSTOR|EMMS)\w+"
)


def _functions() -> Iterator[tuple[str, int, bytes]]:
    """Each function of the core, where it is, and its machine code."""
    with Path(_native.__file__).open("rb") as file:
        elf = ELFFile(file)
        text = elf.get_section_by_name(".text")
        symbols = elf.get_section_by_name(".symtab")
        if symbols is None:
            pytest.skip("the core was stripped: its functions have no names")
        code, address = text.data(), text["sh_addr"]
        for symbol in symbols.iter_symbols():
            start = symbol["st_value"] - address
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_size"] and 0 <= start < len(code):
                yield symbol.name, symbol["st_value"], code[start : start + symbol["st_size"]]


def _computes(code: bytes) -> set[str]:
    mnemonics = {_NAMES[instruction.mnemonic] for instruction in Decoder(64, code)}
    return {name for name in mnemonics if _COMPUTES.fullmatch(name)}


def _touches_vectors(code: bytes) -> bool:
    factory = InstructionInfoFactory()
    used = (one.register for each in Decoder(64, code) for one in factory.info(each).used_registers())
    return any(RegisterExt.is_vector_register(register) for register in used)


def _called(code: bytes, address: int) -> set[int]:
    """Where it calls, or goes to outside of itself; -1 for what is not known."""
    places = set()
    for each in Decoder(64, code, ip=address):
        if each.is_call_near_indirect or each.is_jmp_near_indirect:
            places.add(-1)
        elif each.is_call_near or each.is_jmp_short_or_near:
            places.add(each.near_branch_target)
    return {place for place in places if not address <= place < address + len(code)}


def _defined_in(name: str) -> set[str]:
    """The files that may define a function of that name: those where it begins a line or follows its type."""
    pattern = re.compile(
        rf"^(?!\s|#).*\b{re.escape(name.partition('.')[0])}\(|^\s*function {re.escape(name)}$", re.M
    )
    files = [*NATIVE.rglob("*.c"), *NATIVE.rglob("*.S"), *NATIVE.rglob("*.h")]
    return {str(path.relative_to(NATIVE)) for path in files if pattern.search(path.read_text())}


def test_only_what_runs_under_pythons_lock_computes_with_floating_point_numbers() -> None:
    seen = 0
    for name, _, code in _functions():
        seen += 1
        if found := _computes(code):
            places = _defined_in(name)
            bad = {place for place in places if not place.startswith("python/") and place.endswith(".c")}
            assert places and not bad, f"{name} in {sorted(places)}: {sorted(found)}"
    assert seen > 100


@pytest.mark.parametrize("encoding", ["0f58c1", "f20f2ac0", "d8c1", "dbe3", "c5f858c1", "0fae10"])
def test_floating_point_instructions_are_recognized(encoding: str) -> None:
    assert _computes(bytes.fromhex(encoding))


@pytest.mark.parametrize("encoding", ["0fefc0", "660fefc9", "0f28c1", "f30f6f00", "c5f9efc0", "0fae00"])
def test_copies_and_numbers_of_other_kinds_are_not(encoding: str) -> None:
    assert not _computes(bytes.fromhex(encoding))


def test_single_stretches_are_moved_without_a_vector_register() -> None:
    """Neither by that function nor by what it calls, but for copies of the sandbox's own bytes."""
    functions = {name: (address, code) for name, address, code in _functions()}
    assert _touches_vectors(functions["tmebox_answer"][1])  # so it can be told
    address, code = functions["tmebox_move_stretch"]
    assert not _touches_vectors(code)
    assert _called(code, address) == {functions["tmebox_window_copy"][0]}
