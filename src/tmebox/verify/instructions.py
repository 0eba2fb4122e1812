"""The instructions that verified text may contain, and what they say about the CPU.

An instruction that is not in a table here is refused. A table entry says only that what the instruction
does to registers and flags is harmless; where it may access memory and how it may change rsp is decided by
the rules in `forms`, from its operands.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, CpuidFeature, Mnemonic, Register, RegisterExt

_INTEGER = """
adc adcx add adox and andn bextr blsi blsmsk blsr bsf bsr bswap bt btc btr bts bzhi cbw cdq cdqe clc cmc
cmova cmovae cmovb cmovbe cmove cmovg cmovge cmovl cmovle cmovne cmovno cmovnp cmovns cmovo cmovp cmovs
cmp cmpxchg cmpxchg16b cmpxchg8b cqo crc32 cwd cwde dec div idiv imul inc lahf lea lzcnt mov movbe movsx
movsxd movzx mul mulx neg not or pdep pext popcnt rcl rcr rdrand rdseed rol ror rorx sahf sar sarx sbb
seta setae setb setbe sete setg setge setl setle setne setno setnp setns seto setp sets
shl shld shlx shr shrd shrx stc sub test tzcnt xadd xchg xor
"""

_OTHER = """
endbr64 hlt int3 lfence mfence nop pause prefetchnta prefetcht0 prefetcht1 prefetcht2 prefetchw sfence ud2
"""

# Not here: fldenv, fnstenv, fnsave, frstor (load and reveal registers and addresses of the code before),
# ffree, fincstp, fdecstp (rename registers).
_X87 = """
f2xm1 fabs fadd faddp fchs fcmovb fcmovbe fcmove fcmovnb fcmovnbe fcmovne fcmovnu fcmovu fcom fcomi fcomip
fcomp fcompp fcos fdiv fdivp fdivr fdivrp fiadd ficom ficomp fidiv fidivr fild fimul fist fistp fisttp fisub
fisubr fld fld1 fldcw fldl2e fldl2t fldlg2 fldln2 fldpi fldz fmul fmulp fnclex fninit fnop fnstcw fnstsw
fpatan fprem fprem1 fptan frndint fscale fsin fsincos fsqrt fst fstp fsub fsubp fsubr fsubrp ftst fucom
fucomi fucomip fucomp fucompp fxam fxch fxtract fyl2x fyl2xp1 wait
"""

# Each also exists with a leading v (AVX). With MMX registers they are refused.
_VECTOR = """
addpd addps addsd addss addsubpd addsubps aesdec aesdeclast aesenc aesenclast aesimc aeskeygenassist andnpd
andnps andpd andps blendpd blendps blendvpd blendvps cmppd cmpps cmpsd cmpss comisd comiss cvtdq2pd cvtdq2ps
cvtpd2dq cvtpd2ps cvtps2dq cvtps2pd cvtsd2si cvtsd2ss cvtsi2sd cvtsi2ss cvtss2sd cvtss2si cvttpd2dq
cvttps2dq cvttsd2si cvttss2si divpd divps divsd divss dppd dpps extractps haddpd haddps hsubpd hsubps
insertps lddqu ldmxcsr maxpd maxps maxsd maxss minpd minps minsd minss movapd movaps movd movddup movdqa
movdqu movhlps movhpd movhps movlhps movlpd movlps movmskpd movmskps movq movsd movshdup movsldup movss
movupd movups mpsadbw mulpd mulps mulsd mulss orpd orps pabsb pabsd pabsw packssdw packsswb packusdw
packuswb paddb paddd paddq paddsb paddsw paddusb paddusw paddw palignr pand pandn pavgb pavgw pblendvb
pblendw pclmulqdq pcmpeqb pcmpeqd pcmpeqq pcmpeqw pcmpestri pcmpestrm pcmpgtb pcmpgtd pcmpgtq pcmpgtw
pcmpistri pcmpistrm pextrb pextrd pextrq pextrw phaddd phaddsw phaddw phminposuw phsubd phsubsw phsubw
pinsrb pinsrd pinsrq pinsrw pmaddubsw pmaddwd pmaxsb pmaxsd pmaxsw pmaxub pmaxud pmaxuw pminsb pminsd pminsw
pminub pminud pminuw pmovmskb pmovsxbd pmovsxbq pmovsxbw pmovsxdq pmovsxwd pmovsxwq pmovzxbd pmovzxbq
pmovzxbw pmovzxdq pmovzxwd pmovzxwq pmuldq pmulhrsw pmulhuw pmulhw pmulld pmullw pmuludq por psadbw pshufb
pshufd pshufhw pshuflw psignb psignd psignw pslld pslldq psllq psllw psrad psraw psrld psrldq psrlq psrlw
psubb psubd psubq psubsb psubsw psubusb psubusw psubw ptest punpckhbw punpckhdq punpckhqdq punpckhwd
punpcklbw punpckldq punpcklqdq punpcklwd pxor rcpps rcpss roundpd roundps roundsd roundss rsqrtps rsqrtss
shufpd shufps sqrtpd sqrtps sqrtsd sqrtss stmxcsr subpd subps subsd subss ucomisd ucomiss unpckhpd unpckhps
unpcklpd unpcklps xorpd xorps
"""

_SSE_ONLY = """
sha1msg1 sha1msg2 sha1nexte sha1rnds4 sha256msg1 sha256msg2 sha256rnds2
"""

# Not here: gathers (64-bit addresses that no rule bounds) and non-temporal stores.
_AVX_ONLY = """
vbroadcastf128 vbroadcasti128 vbroadcastsd vbroadcastss vcvtph2ps vcvtps2ph vextractf128 vextracti128
vinsertf128 vinserti128 vmaskmovpd vmaskmovps vpblendd vpbroadcastb vpbroadcastd vpbroadcastq vpbroadcastw
vperm2f128 vperm2i128 vpermd vpermilpd vpermilps vpermpd vpermps vpermq vpmaskmovd vpmaskmovq vpsllvd vpsllvq
vpsravd vpsrlvd vpsrlvq vtestpd vtestps vzeroall vzeroupper
"""

_FMA = """
vfmadd132pd vfmadd132ps vfmadd132sd vfmadd132ss vfmadd213pd vfmadd213ps vfmadd213sd vfmadd213ss
vfmadd231pd vfmadd231ps vfmadd231sd vfmadd231ss vfmsub132pd vfmsub132ps vfmsub132sd vfmsub132ss
vfmsub213pd vfmsub213ps vfmsub213sd vfmsub213ss vfmsub231pd vfmsub231ps vfmsub231sd vfmsub231ss
vfnmadd132pd vfnmadd132ps vfnmadd132sd vfnmadd132ss vfnmadd213pd vfnmadd213ps vfnmadd213sd vfnmadd213ss
vfnmadd231pd vfnmadd231ps vfnmadd231sd vfnmadd231ss vfnmsub132pd vfnmsub132ps vfnmsub132sd vfnmsub132ss
vfnmsub213pd vfnmsub213ps vfnmsub213sd vfnmsub213ss vfnmsub231pd vfnmsub231ps vfnmsub231sd vfnmsub231ss
vfmaddsub132pd vfmaddsub132ps vfmaddsub213pd vfmaddsub213ps vfmaddsub231pd vfmaddsub231ps
vfmsubadd132pd vfmsubadd132ps vfmsubadd213pd vfmsubadd213ps vfmsubadd231pd vfmsubadd231ps
"""

# Denied like everything unnamed; listed so that the violation can say why.
_SYSTEM = """
cld cldemote clflush clflushopt cli clui clwb clzero cpuid enqcmd fxrstor fxrstor64 fxsave fxsave64 hreset
in incsspd incsspq insb insd insw int int1 into lar lsl monitor monitorx mwait mwaitx out
outsb outsd outsw popf popfq ptwrite pushf pushfq rdpid rdpkru rdpmc rdpru rdsspd rdsspq rdtsc rdtscp
senduipi serialize sgdt sidt sldt smsw std sti str stui syscall sysenter testui tpause uiret umonitor umwait
verr verw wrpkru xabort xbegin xend xgetbv xrstor xrstor64 xsave xsave64 xsavec xsavec64 xsaveopt xsaveopt64
xsetbv xtest
"""

_SEGMENTS = "wrfsbase wrgsbase rdfsbase rdgsbase swapgs lkgs lfs lgs lss"


def _mnemonics(names: str) -> frozenset[int]:
    return frozenset(getattr(Mnemonic, name.upper()) for name in names.split())


def _with_v(names: str) -> str:
    return " ".join(f"v{name}" for name in names.split())


X87: Final = _mnemonics(_X87)
X87_UNCHANGING: Final = _mnemonics("fnop fnstcw fnstsw wait")
"""Those that leave the x87 unit as it was. The C library's allocator has a `wait`."""
MNEMONICS: Final = _mnemonics(
    _INTEGER + _OTHER + _X87 + _VECTOR + _SSE_ONLY + _with_v(_VECTOR) + _AVX_ONLY + _FMA
)
"""Mnemonics whose every encoding is known, but for ALIASES."""

SYSTEM: Final = _mnemonics(_SYSTEM)
SEGMENTS: Final = _mnemonics(_SEGMENTS)

ALIASES: Final = frozenset(
    {
        Code.TEST_RM8_IMM8_F6R1, Code.TEST_RM16_IMM16_F7R1, Code.TEST_RM32_IMM32_F7R1,
        Code.TEST_RM64_IMM32_F7R1, Code.FCOM_ST0_STI_DCD0, Code.FCOMP_ST0_STI_DCD8,
        Code.FCOMP_ST0_STI_DED0, Code.FXCH_ST0_STI_DDC8, Code.FXCH_ST0_STI_DFC8, Code.FSTP_STI_DFD0,
        Code.FSTP_STI_DFD8, Code.MOVSXD_R16_RM16, Code.MOVSXD_R32_RM32, Code.PREFETCHRESERVED3_M8,
        Code.BSWAP_R16,
        *(getattr(Code, f"LFENCE_E{last}") for last in "9ABCDEF"),
        *(getattr(Code, f"MFENCE_F{last}") for last in "1234567"),
        *(getattr(Code, f"SFENCE_F{last}") for last in "9ABCDEF"),
        # REX.W or VEX.W, which means nothing where the register is written or read in part, or to zeros.
        Code.PEXTRB_R64M8_XMM_IMM8, Code.VEX_VPEXTRB_R64M8_XMM_IMM8, Code.PEXTRW_R64_XMM_IMM8,
        Code.VEX_VPEXTRW_R64_XMM_IMM8, Code.PEXTRW_R64M16_XMM_IMM8, Code.VEX_VPEXTRW_R64M16_XMM_IMM8,
        Code.EXTRACTPS_R64M32_XMM_IMM8, Code.VEX_VEXTRACTPS_R64M32_XMM_IMM8,
        Code.PINSRB_XMM_R64M8_IMM8, Code.VEX_VPINSRB_XMM_XMM_R64M8_IMM8,
        Code.PINSRW_XMM_R64M16_IMM8, Code.VEX_VPINSRW_XMM_XMM_R64M16_IMM8,
    }
)  # fmt: skip
"""Encodings of known mnemonics that assemblers do not emit and manuals do not agree about."""

BIT_TEST_WITH_REGISTER_OFFSET: Final = frozenset(
    getattr(Code, f"{name}_RM{bits}_R{bits}") for name in ("BT", "BTC", "BTR", "BTS") for bits in (16, 32, 64)
)
"""With a memory operand, the register selects a bit anywhere around it: the access is not the operand's."""

UNCONDITIONAL_JUMPS: Final = frozenset({Code.JMP_REL8_64, Code.JMP_REL32_64})
DIRECT_JUMPS: Final = UNCONDITIONAL_JUMPS | {
    Code.JO_REL8_64, Code.JNO_REL8_64, Code.JB_REL8_64, Code.JAE_REL8_64, Code.JE_REL8_64,
    Code.JNE_REL8_64, Code.JBE_REL8_64, Code.JA_REL8_64, Code.JS_REL8_64, Code.JNS_REL8_64,
    Code.JP_REL8_64, Code.JNP_REL8_64, Code.JL_REL8_64, Code.JGE_REL8_64, Code.JLE_REL8_64,
    Code.JG_REL8_64, Code.JO_REL32_64, Code.JNO_REL32_64, Code.JB_REL32_64, Code.JAE_REL32_64,
    Code.JE_REL32_64, Code.JNE_REL32_64, Code.JBE_REL32_64, Code.JA_REL32_64, Code.JS_REL32_64,
    Code.JNS_REL32_64, Code.JP_REL32_64, Code.JNP_REL32_64, Code.JL_REL32_64, Code.JGE_REL32_64,
    Code.JLE_REL32_64, Code.JG_REL32_64, Code.JRCXZ_REL8_64, Code.JECXZ_REL8_64, Code.LOOP_REL8_64_ECX,
    Code.LOOPE_REL8_64_ECX, Code.LOOPNE_REL8_64_ECX, Code.LOOP_REL8_64_RCX, Code.LOOPE_REL8_64_RCX,
    Code.LOOPNE_REL8_64_RCX,
}  # fmt: skip
INDIRECT_BRANCHES: Final = frozenset({Code.CALL_RM64, Code.JMP_RM64})
CALLS: Final = frozenset({Code.CALL_REL32_64, Code.CALL_RM64})
RETURNS: Final = frozenset({Code.RETNQ})
BRANCHES: Final = DIRECT_JUMPS | INDIRECT_BRANCHES | CALLS | RETURNS
PUSHES: Final = frozenset({Code.PUSH_R64, Code.PUSH_RM64, Code.PUSHQ_IMM8, Code.PUSHQ_IMM32})
POPS: Final = frozenset({Code.POP_R64, Code.POP_RM64})
MOVES_RSP: Final = PUSHES | POPS | CALLS | RETURNS
STRINGS: Final = frozenset(
    {
        Code.STOSB_M8_AL, Code.STOSW_M16_AX, Code.STOSD_M32_EAX, Code.STOSQ_M64_RAX,
        Code.MOVSB_M8_M8, Code.MOVSW_M16_M16, Code.MOVSD_M32_M32, Code.MOVSQ_M64_M64,
    }
)  # fmt: skip
ABSOLUTE: Final = frozenset(
    {
        Code.MOV_AL_MOFFS8, Code.MOV_AX_MOFFS16, Code.MOV_EAX_MOFFS32, Code.MOV_RAX_MOFFS64,
        Code.MOV_MOFFS8_AL, Code.MOV_MOFFS16_AX, Code.MOV_MOFFS32_EAX, Code.MOV_MOFFS64_RAX,
    }
)  # fmt: skip
"""These have a 64-bit absolute address."""
CODES: Final = BRANCHES | PUSHES | POPS | STRINGS
"""Instructions whose other encodings (16-bit, far, immediate `ret`, …) are denied, so named one by one."""

NEVER_CONTINUES: Final = UNCONDITIONAL_JUMPS | RETURNS | {Code.JMP_RM64, Code.HLT, Code.UD2}
"""Control never reaches the instruction after one of these. (Not int3: debuggers continue there.)"""

COMPUTES_ONLY: Final = frozenset({Mnemonic.LEA, Mnemonic.NOP})
"""Their memory operand is not accessed."""

_NUMBERS: Final = [number for name, number in vars(Register).items() if name.isupper()]
SEGMENT_REGISTERS: Final = frozenset(filter(RegisterExt.is_segment_register, _NUMBERS))
REGISTERS: Final = frozenset([Register.NONE]).union(
    *(
        filter(is_kind, _NUMBERS)
        for is_kind in (RegisterExt.is_gpr, RegisterExt.is_xmm, RegisterExt.is_ymm, RegisterExt.is_st)
    )
)
"""Registers that operands may name; NONE for an operand that is no register."""

FEATURES: Final[dict[int, str | None]] = {
    **dict.fromkeys(
        (
            CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386,
            CpuidFeature.INTEL486, CpuidFeature.X64, CpuidFeature.CMOV, CpuidFeature.CX8, CpuidFeature.FPU,
            CpuidFeature.FPU287, CpuidFeature.FPU387, CpuidFeature.SSE, CpuidFeature.SSE2,
            CpuidFeature.MULTIBYTENOP, CpuidFeature.PAUSE,
            CpuidFeature.CET_IBT,  # endbr64 is a no-operation elsewhere
        )
    ),
    CpuidFeature.ADX: "adx",
    CpuidFeature.AES: "aes",
    CpuidFeature.AVX: "avx",
    CpuidFeature.AVX2: "avx2",
    CpuidFeature.BMI1: "bmi1",
    CpuidFeature.BMI2: "bmi2",
    CpuidFeature.CMPXCHG16B: "cx16",
    CpuidFeature.F16C: "f16c",
    CpuidFeature.FMA: "fma",
    CpuidFeature.LZCNT: "abm",
    CpuidFeature.MOVBE: "movbe",
    CpuidFeature.PCLMULQDQ: "pclmulqdq",
    CpuidFeature.POPCNT: "popcnt",
    CpuidFeature.PREFETCHW: "3dnowprefetch",
    CpuidFeature.RDRAND: "rdrand",
    CpuidFeature.RDSEED: "rdseed",
    CpuidFeature.SHA: "sha_ni",
    CpuidFeature.SSE3: "pni",
    CpuidFeature.SSE4_1: "sse4_1",
    CpuidFeature.SSE4_2: "sse4_2",
    CpuidFeature.SSSE3: "ssse3",
    CpuidFeature.VAES: "vaes",
    CpuidFeature.VPCLMULQDQ: "vpclmulqdq",
}  # fmt: skip
"""CPU features that instructions may need, as /proc/cpuinfo spells them; None: all x86-64 CPUs have it."""

OPTIONAL: Final = frozenset({"avx", "avx2", "fma", "f16c"})
"""Features that code may use without the text's needing them, where it is VEX encoded. To a CPU without them,
or whose system has not enabled them, such an encoding is a trap (#UD). Other features are not here: CPUs
without them may take an encoding for another instruction. `lzcnt` is `bsr` to them, which does not write its
destination if its source is 0."""
