"""The tool that makes the table of facts, on a description of our own in the same form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.x86_facts_table import effects, facts_of, read_table

pytestmark = pytest.mark.slow

TOOL = Path(__file__).parents[2] / "tools" / "x86_facts.py"
WIDTHS = "v  int  2 4 8\nq  i64  8\nzz i32  256bits\n"
DESCRIPTION = r"""
INSTRUCTIONS()::
{
ICLASS     : XCHG
CPL        : 3
CATEGORY   : DATAXFER
ATTRIBUTES :
PATTERN    : 0x87 MOD[mm] MOD!=3 REG[rrr] RM[nnn] MODRM() \
             nolock_prefix
OPERANDS   : MEM0:rw:v REG0=GPRv_R():rw    # a remark
PATTERN    : 0x87 MOD[mm] MOD!=3 REG[rrr] RM[nnn] MODRM() not64
OPERANDS   : MEM0:rw:v REG0=GPRv_R():r
}
{
ICLASS     : MUL
CPL        : 3
CATEGORY   : BINARY
FLAGS      : MUST [ of-mod sf-u cf-mod ]
PATTERN    : 0xF7 MOD[0b11] MOD=3 REG[0b100] RM[nnn]
OPERANDS   : REG0=GPRv_B():r REG1=OrAX():rw:SUPP REG2=OrDX():w:SUPP
}
{
ICLASS     : RCL
CPL        : 3
CATEGORY   : ROTATE
FLAGS      : IMM1 MUST [ cf-tst cf-mod ], IMMx MUST [ of-u cf-tst cf-mod ]
PATTERN    : 0xC1 MOD[0b11] MOD=3 REG[0b010] RM[nnn] UIMM8()
OPERANDS   : REG0=GPRv_B():rw IMM0:r:b
}
{
ICLASS     : JNZ
CPL        : 3
CATEGORY   : COND_BR
FLAGS      : READONLY [ zf-tst ]
PATTERN    : 0x75 BRDISP8()
OPERANDS   : RELBR:r:b REG0=rIP():rw:SUPP
}
{
ICLASS     : PUSH
CPL        : 3
CATEGORY   : PUSH
PATTERN    : 0b0101_0 SRM[rrr] DF64()
OPERANDS   : REG0=GPRv_SB():r REG1=XED_REG_STACKPUSH:rw:spw:SUPP
}
{
ICLASS     : VMASKMOVPS
CPL        : 3
CATEGORY   : AVX
ATTRIBUTES : maskop
PATTERN    : VV1 0x2C V66 VL128 V0F38 norexw_prefix MOD[mm] MOD!=3 REG[rrr] RM[nnn] MODRM()
OPERANDS   : REG0=XMM_R():w REG1=XMM_N():r MEM0:r:zz
PATTERN    : VV1 0x2C V66 VL256 V0F38 norexw_prefix MOD[mm] MOD!=3 REG[rrr] RM[nnn] MODRM()
OPERANDS   : REG0=YMM_R():w REG1=YMM_N():r MEM0:r:zz
}
{
ICLASS     : BSF
CPL        : 3
CATEGORY   : BITBYTE
PATTERN    : 0x0F 0xBC MOD[0b11] MOD=3 REG[rrr] RM[nnn]
OPERANDS   : REG0=GPRv_R():w REG1=GPRv_B():r
}
{
ICLASS     : BSF
VERSION    : 1
CPL        : 3
CATEGORY   : BITBYTE
PATTERN    : 0x0F 0xBC not_refining_f3 MOD[0b11] MOD=3 REG[rrr] RM[nnn]
OPERANDS   : REG0=GPRv_R():cw REG1=GPRv_B():r
}
{
ICLASS     : NOP
UNAME      : OLD_NOP
CPL        : 3
CATEGORY   : NOP
PATTERN    : 0x90
OPERANDS   :
}
UDELETE : OLD_NOP
{
ICLASS     : WRMSR
CPL        : 0
CATEGORY   : SYSTEM
PATTERN    : 0x0F 0x30
OPERANDS   : REG0=XED_REG_EAX:r:SUPP
}
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "datafiles").mkdir()
    (checkout / "datafiles" / "our-isa.txt").write_text(DESCRIPTION)
    (checkout / "datafiles" / "our-operand-width.txt").write_text(WIDTHS)
    command = [sys.executable, str(TOOL), str(checkout)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_each_pattern_of_a_known_mnemonic_becomes_a_line(lines: list[str]) -> None:
    assert [line for line in lines if not line.startswith("#")] == [
        "L0 50+ |  | push | gpr.srm:r stackpush:rw |  | ",
        "L0 75 |  | jne | rip:rw | r:zf | branch",
        "L0 87 | lock=0 mod!=3 | xchg | operand:rw:8 gpr.reg:rw |  | ",
        "L0 c1 | mod=3 reg=2 | rcl | gpr.rm:rw | may r:cf w:cf,of | ",
        "L0 f7 | mod=3 reg=4 | mul | gpr.rm:r rax:rw rdx:w | w:cf,of,sf | ",
        "L1 bc | mod=3 rep!=3 | bsf | gpr.reg:cw gpr.rm:r |  | ",
        "V2 2c | mod!=3 pp=1 w=0 | vmaskmovps | vec.reg:w vec.v:r operand:r:32 |  | masked",
    ]


@pytest.mark.parametrize(
    ("encoding", "reads", "writes"),
    [
        ("48 87 4c 24 08", {"rcx"}, {"rcx"}),
        ("49 f7 e1", {"r9", "rax"}, {"rax", "rdx"}),
        ("41 55", {"r13", "rsp"}, {"rsp"}),
        ("c4 c2 71 2c 54 24 08", {"vec1"}, {"vec2"}),
    ],
)
def test_the_table_is_read_with_the_registers_of_the_encoding(
    lines: list[str], encoding: str, reads: set[str], writes: set[str]
) -> None:
    code = bytes.fromhex(encoding)
    (fact,) = facts_of(code, read_table(lines))
    found = effects(code, fact)
    assert (found.reads, found.writes) == (reads, writes)  # type: ignore[comparison-overlap]


def test_an_encoding_that_fits_no_condition_has_no_fact(lines: list[str]) -> None:
    table = read_table(lines)
    for encoding in ("f0 48 87 4c 24 08", "87 c1", "f3 0f bc c1", "90", "0f 30", "f7 e9"):
        assert not facts_of(bytes.fromhex(encoding), table)
