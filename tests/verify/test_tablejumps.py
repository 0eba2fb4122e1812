"""Jumps through tables, against models: a few lines of Python, and what objdump reads."""

from __future__ import annotations

import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tmebox
from tests.verify.corpus import assemble
from tests.verify.recheck import Line, arrivals, claimed_by, complaints, disassemble
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.modulefile.file import ModuleFile
from tmebox.verify import reading, rules, verify

needs_objdump = pytest.mark.skipif(shutil.which("objdump") is None, reason="the second opinion is objdump's")
ADDRESS = abi.TEXT_NOMINAL
HLT = b"\xf4"
ENTRY = abi.TABLE_ENTRY
CASES = " ".join(f"case {i}: return x * {i * i + 3};" for i in range(12))
SOURCE = f"""
int f(int x, int y) {{ switch (y) {{ {CASES} }} return 0; }}
int h(int y, volatile int *p) {{
  switch (y) {{ case 10: *p = 8; break; case 11: *p += 3; break; case 12: *p = *p * 5; break;
    case 13: *p ^= 3; break; case 14: p[1] = 5; break; }}
  return y;
}}
int g(const unsigned char *p, int n) {{
  static void *const next[] = {{&&more, &&less, &&twice, &&end}};
  goto *next[*p & 3];
  more: n++; goto *next[*++p & 3];
  less: n--; goto *next[*++p & 3];
  twice: n *= 2; goto *next[*++p & 3];
  end: return n;
}}
"""


def rules_broken(code: bytes, entries: int, **arguments: object) -> set[str]:
    try:
        verify(
            code,
            **{"address": ADDRESS, "functions": (), "labels": (), "table_entries": entries, **arguments},  # type: ignore[arg-type]
        )
    except VerificationError as error:
        return {violation.rule for violation in error.violations}
    return set()


# -- a model of one jump ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Jump:
    """`cmpq $most, %compared; ja hlt; jmp *(tables + distance)(,%index (32 bits),8)`, a no-op, a hlt.
    is_half: `cmpl`."""

    is_half: bool
    most: int
    compared: int
    index: int
    distance: int
    targets: tuple[int, ...]

    def instructions(self) -> bytes:
        rex = bytes([(0x40 if self.is_half else 0x48) | self.compared >> 3]).lstrip(b"\x40")
        compare = rex + bytes([0x81, 0xF8 | self.compared & 7]) + struct.pack("<i", self.most)
        prefixes = b"\x67\x42" if self.index >= 8 else b"\x67"
        jump_size = len(prefixes) + 7
        branch = b"\x77" + bytes([jump_size + 2])
        size_bytes = len(compare) + len(branch) + jump_size + 3
        table = struct.pack("<i", ADDRESS + size_bytes + self.distance)
        jump = prefixes + b"\xff\x24" + bytes([0xC5 | (self.index & 7) << 3]) + table
        return compare + branch + jump + b"\x66\x90" + HLT

    def text(self) -> bytes:
        return self.instructions() + struct.pack(f"<{len(self.targets)}Q", *self.targets)

    def arrivals(self) -> set[int]:
        """The comparison, the no-op and the hlt."""
        end = ADDRESS + len(self.instructions())
        return {ADDRESS, end - 3, end - 1}

    def is_confined(self) -> bool:
        """Whatever 64 bits the index has, the jump reads an entry, and all of them are arrivals."""
        read = range(self.distance, self.distance + (self.most + 1) * ENTRY, ENTRY)
        entries = range(0, len(self.targets) * ENTRY, ENTRY)
        return (
            self.compared == self.index
            and self.index != 4  # rsp: no index at all
            and self.most >= 0
            and read[0] in entries
            and read[-1] in entries
            and self.arrivals().issuperset(self.targets)
        )


def jumps() -> st.SearchStrategy[Jump]:
    register = st.integers(0, 15)
    size_bytes = 20
    good = st.sampled_from([ADDRESS, *(ADDRESS + size - back for size in (19, 20) for back in (3, 1))])
    near = st.integers(ADDRESS - 2, ADDRESS + size_bytes + 9)
    target = st.one_of(good, good, good, near, st.integers(0, (1 << 64) - 1))
    return st.builds(
        lambda half, most, registers, distance, targets: Jump(
            half,
            most,
            *registers,
            distance,
            tuple(targets),  # type: ignore[call-arg]
        ),
        st.booleans(),
        st.one_of(st.integers(-2, 6), st.integers(-(1 << 31), (1 << 31) - 1)),
        st.one_of(register.map(lambda one: (one, one)), st.tuples(register, register)),
        st.one_of(st.integers(-1, 4).map(lambda n: n * ENTRY), st.integers(-20, 40)),
        st.one_of(st.lists(good, max_size=6), st.lists(target, max_size=6)),
    )


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(jumps())
def test_a_jump_is_accepted_exactly_if_it_reads_entries_that_lead_to_instructions(jump: Jump) -> None:
    assert (rules_broken(jump.text(), len(jump.targets)) == set()) is jump.is_confined()


def test_the_model_has_both_kinds() -> None:
    for half, end in ((False, ADDRESS + 20), (True, ADDRESS + 19)):
        assert Jump(half, 1, 0, 0, 0, (ADDRESS, end - 3)).is_confined()
        assert not Jump(half, 2, 0, 0, 0, (ADDRESS, end - 3)).is_confined()


# -- and of one whose index is known ----------------------------------------------------------------------

MAKERS = {
    "movzbl %al, %R": (b"\x0f\xb6", b"", 8),
    "movzwl %ax, %R": (b"\x0f\xb7", b"", 16),
    "andl $1, %R": (b"\x83", b"\x01", 1),
    "andl $4, %R": (b"\x83", b"\x04", 3),
    "andl $-1, %R": (b"\x83", b"\xff", 32),
    "shrl $29, %R": (b"\xc1", b"\x1d", 3),
    "shrq $62, %R": (b"\xc1", b"\x3e", 2),
    "movl %eax, %R": (b"\x8b", b"", 32),
    "nothing": (b"", b"", None),
}
"""Opcode, immediate, and the bits that are left of R."""
_DIGITS = {0x83: 4, 0xC1: 5}
"""Of opcodes with an immediate."""


@dataclass(frozen=True)
class KnownJump:
    """What makes `made`, `jmp *(tables + distance)(,%index (32 bits),8)`, a no-op, a hlt."""

    maker: str
    made: int
    index: int
    distance: int
    targets: tuple[int, ...]

    def before(self) -> bytes:
        opcode, immediate, bits = MAKERS[self.maker]
        if bits is None:
            return b""
        wide, high = 8 * ("q" in self.maker), self.made >> 3
        reads_made = opcode[0] in _DIGITS
        rex = bytes([0x40 | wide | (high if reads_made else high << 2)]).lstrip(b"\x40")
        digit, low = _DIGITS.get(opcode[0], self.made & 7), self.made & 7 if reads_made else 0
        return rex + opcode + bytes([0xC0 | digit << 3 | low]) + immediate

    def instructions(self) -> bytes:
        before = self.before()
        prefixes = b"\x67\x42" if self.index >= 8 else b"\x67"
        size_bytes = len(before) + len(prefixes) + 7 + 3
        table = struct.pack("<i", ADDRESS + size_bytes + self.distance)
        jump = prefixes + b"\xff\x24" + bytes([0xC5 | (self.index & 7) << 3]) + table
        return before + jump + b"\x66\x90" + HLT

    def text(self) -> bytes:
        return self.instructions() + struct.pack(f"<{len(self.targets)}Q", *self.targets)

    def is_confined(self) -> bool:
        """Nobody arrives between what makes the index and the jump, which reads entries that are arrivals."""
        bits, end = MAKERS[self.maker][2], ADDRESS + len(self.instructions())
        if bits is None or self.made != self.index or 4 in (self.made, self.index) or bits > 16:
            return False
        read = range(self.distance, self.distance + (ENTRY << bits), ENTRY)
        entries = range(0, len(self.targets) * ENTRY, ENTRY)
        arrivals = {ADDRESS, end - 3, end - 1}
        return read[0] in entries and read[-1] in entries and arrivals.issuperset(self.targets)


def known_jumps() -> st.SearchStrategy[KnownJump]:
    register = st.integers(0, 15)
    ends = [ADDRESS + size - back for size in range(13, 18) for back in (3, 1)]
    good = st.sampled_from([ADDRESS, *ends])
    return st.builds(
        lambda maker, registers, distance, targets: KnownJump(
            maker,
            *registers,
            distance,
            tuple(targets),  # type: ignore[call-arg]
        ),
        st.sampled_from(sorted(MAKERS)),
        st.one_of(register.map(lambda one: (one, one)), st.tuples(register, register)),
        st.one_of(st.integers(-1, 3).map(lambda n: n * ENTRY), st.integers(-20, 40)),
        st.one_of(
            st.lists(good, max_size=10),
            st.tuples(good, st.sampled_from([2, 8, 256, 300])).map(lambda pair: [pair[0]] * pair[1]),
            st.tuples(st.just(ADDRESS), st.sampled_from([255, 65535, 65536])).map(
                lambda pair: [pair[0]] * pair[1]
            ),
        ),
    )


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(known_jumps())
def test_a_jump_without_a_bound_is_accepted_exactly_if_its_index_is_known_to_fit(jump: KnownJump) -> None:
    assert (rules_broken(jump.text(), len(jump.targets)) == set()) is jump.is_confined()


@pytest.mark.parametrize("maker", sorted(MAKERS))
def test_the_model_of_known_indexes_has_both_kinds(maker: str) -> None:
    bits = MAKERS[maker][2] or 0
    for missing in (0, 1):
        jump = KnownJump(maker, 2, 2, 0, (ADDRESS,) * ((1 << min(bits, 16)) - missing))
        assert jump.is_confined() is (missing == 0 and maker != "nothing" and bits <= 16)
        assert (rules_broken(jump.text(), len(jump.targets)) == set()) is jump.is_confined()


# -- real modules -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file() -> ModuleFile:
    file = tmebox.compile(source_text=SOURCE).file
    assert file.table_entries == 16 + 5 + 4
    return file


@pytest.fixture(scope="module")
def lines(file: ModuleFile, tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    (lines,) = disassemble([file.text[: file.code_bytes]], file.text_address, tmp_path_factory.mktemp("text"))
    return lines


def broken(file: ModuleFile, text: bytes) -> set[str]:
    return rules_broken(
        text,
        file.table_entries,
        address=file.text_address,
        functions=file.functions.tolist(),
        labels=file.labels.tolist(),
        fact_places=file.fact_places,
        facts=file.facts,
        depth_places=file.depth_places,
        depths=file.depths,
    )


@needs_objdump
def test_the_second_opinion_has_nothing_against_a_module_with_tables(
    file: ModuleFile, lines: list[Line]
) -> None:
    tables = file.text[file.code_bytes :]
    claimed = claimed_by(file)
    assert list(complaints(lines, file.code_bytes, tables=tables, claimed=claimed)) == []
    assert list(complaints(lines, file.code_bytes, tables=tables[:-ENTRY], claimed=claimed)) != []


@pytest.mark.slow
@needs_objdump
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_an_entry_is_accepted_exactly_if_it_is_where_control_may_arrive(
    file: ModuleFile, lines: list[Line], data: st.DataObject
) -> None:
    places = arrivals(lines, tables=file.text[file.code_bytes :])
    low, high = file.text_address, file.text_address + len(file.text)
    value = data.draw(
        st.one_of(
            st.sampled_from(sorted(places)),
            st.sampled_from([line.address for line in lines]),
            st.integers(low - 1, high + 1),
            st.sampled_from([0, (1 << 64) - 1, abi.GATE_HOSTCALL, low + (1 << 32), low + (1 << 63)]),
        )
    )
    at = file.code_bytes + ENTRY * data.draw(st.integers(0, file.table_entries - 1))
    text = file.text[:at] + struct.pack("<Q", value) + file.text[at + ENTRY :]
    found = broken(file, text)
    assert (rules.TABLE_LEADS_TO_INSTRUCTIONS in found) is (value not in places)
    # Who arrives right before a jump through a table has not made its index small.
    others = {rules.TABLE_LEADS_TO_INSTRUCTIONS, rules.STACK_DEPTH_KNOWN, rules.TABLE_WITHIN_TEXT}
    assert found <= others


def bounds(lines: list[Line]) -> list[tuple[Line, int]]:
    """The comparisons of the table jumps, and where their tables are."""
    found = []
    for compare, branch, jump in zip(lines, lines[1:], lines[2:], strict=False):
        table = re.fullmatch(r"\*(0x[0-9a-f]+)\(,%\w+,8\)", jump.operands)
        if table and branch.mnemonic == "ja":
            found.append((compare, int(table[1], 16)))
    return found


@needs_objdump
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_bound_is_accepted_exactly_if_the_tables_go_that_far(
    file: ModuleFile, lines: list[Line], data: st.DataObject
) -> None:
    compare, table = data.draw(st.sampled_from(bounds(lines)))
    assert compare.mnemonic == "cmp"
    assert len(compare.encoding) in (3, 4)
    most = data.draw(st.one_of(st.integers(-3, 20), st.integers(-128, 127)))
    at = compare.address - file.text_address + len(compare.encoding) - 1
    text = file.text[:at] + struct.pack("<b", most) + file.text[at + 1 :]
    left = (file.text_address + len(file.text) - table) // ENTRY
    expected = set() if 0 <= most < left else {rules.TABLE_WITHIN_TEXT}
    assert broken(file, text) - {rules.STACK_DEPTH_KNOWN} == expected


@needs_objdump
def test_a_real_module_has_bounds_to_change(lines: list[Line]) -> None:
    assert len(bounds(lines)) == 1


def test_claiming_more_or_fewer_entries_than_there_are_is_refused(file: ModuleFile) -> None:
    for entries in (*range(file.table_entries), file.table_entries + 1, len(file.text) // ENTRY):
        assert rules_broken(file.text, entries, address=file.text_address), entries


# -- blocks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most_in_a_row", range(1, 12))
def test_no_block_ends_within_a_jump(most_in_a_row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many instructions are looked at at a time, a jump is seen whole or the text refused."""
    padding = b"\x90\x90" + HLT
    jump = Jump(False, 0, 0, 0, 0, (ADDRESS,))
    code = padding + b"".join(
        [b"\x48\x83\xf8\x00", b"\x77\xfa", b"\x67\xff\x24\xc5" + struct.pack("<i", ADDRESS + 18), HLT]
    )
    assert jump.is_confined()
    assert len(code) == 18
    monkeypatch.setattr(reading, "MOST_IN_A_ROW", most_in_a_row)
    good = code + struct.pack("<Q", ADDRESS)
    bad = code.replace(b"\x48\x83\xf8\x00", b"\x48\x83\xf8\x01") + struct.pack("<Q", ADDRESS)
    refused = rules_broken(good, 1)
    assert refused == set() if most_in_a_row >= 3 else rules.CONTROL_ENDS_REGULARLY in refused
    assert rules_broken(bad, 1)


# -- where an example stands ------------------------------------------------------------------------------

AT = """
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
1:  hlt
table: .quad 1b, 1b
"""


@pytest.mark.parametrize("address", [abi.CODE_BASE, ADDRESS, abi.GATE_BASE - 0x1000])
def test_tables_are_judged_by_where_the_text_stands(address: int, tmp_path: Path) -> None:
    source = tmp_path / "example.s"
    source.write_text(f"# address: {address:#x}\n# table-entries: 2\n{AT}")
    example = assemble([source], tmp_path)[source]
    assert rules_broken(example.code, 2, address=address) == set()
    moved = rules_broken(example.code, 2, address=address + (0x1000 if address < ADDRESS else -0x1000))
    assert moved == {rules.TABLE_WITHIN_TEXT, rules.TABLE_LEADS_TO_INSTRUCTIONS}
