"""The SSE, AVX, AVX2, FMA, F16C, AES, SHA and PCLMUL mnemonics the rewriter lets through, by family.

Left out on purpose: MMX, non-temporal stores and loads, `maskmovdqu` (implicit address), gathers, AVX-512.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple


class VectorMnemonics(NamedTuple):
    """flag_writers set the status flags; masked may suppress their access; plain are all others."""

    flag_writers: frozenset[str]
    masked: frozenset[str]
    plain: frozenset[str]


_FLAG_WRITERS = [
    "comiss",
    "comisd",
    "ucomiss",
    "ucomisd",
    "ptest",
    "pcmpestri",
    "pcmpistri",
    "pcmpestrm",
    "pcmpistrm",
]

_FLOAT_ARITHMETIC = "add sub mul div min max sqrt"
_FLOAT_LOGIC = "and andn or xor"
_COMPARISONS = "eq lt le unord neq nlt nle ord"
_VEX_COMPARISONS = (
    "eq_uq nge ngt false false_oq neq_oq ge gt true true_uq eq_os lt_oq le_oq unord_s neq_us nlt_uq nle_uq "
    "ord_s eq_us nge_uq ngt_uq false_os neq_os ge_oq gt_oq true_us"
)

_SSE = """
    movss movsd movaps movapd movups movupd movhps movlps movhpd movlpd movhlps movlhps movddup movshdup
    movsldup movmskps movmskpd cmpss cmpsd cmpps cmppd shufps shufpd unpckhps unpckhpd unpcklps unpcklpd
    haddps haddpd hsubps hsubpd addsubps addsubpd roundss roundsd roundps roundpd blendps blendpd dpps
    dppd insertps extractps rcpss rcpps rsqrtss rsqrtps cvtsi2ss cvtsi2ssl cvtsi2ssq cvtsi2sd cvtsi2sdl
    cvtsi2sdq cvtss2si cvtss2sil cvtss2siq cvtsd2si cvtsd2sil cvtsd2siq cvttss2si cvttss2sil cvttss2siq
    cvttsd2si cvttsd2sil cvttsd2siq cvtss2sd cvtsd2ss cvtps2pd cvtpd2ps cvtdq2ps cvtdq2pd cvtps2dq
    cvtpd2dq cvttps2dq cvttpd2dq movd movq movdqa movdqu lddqu pmovmskb packsswb packssdw packuswb
    packusdw punpcklbw punpcklwd punpckldq punpcklqdq punpckhbw punpckhwd punpckhdq punpckhqdq paddb
    paddw paddd paddq paddsb paddsw paddusb paddusw psubb psubw psubd psubq psubsb psubsw psubusb
    psubusw pmullw pmulld pmulhw pmulhuw pmulhrsw pmuludq pmuldq pmaddwd pmaddubsw pavgb pavgw psadbw
    mpsadbw pminsb pminsw pminsd pminub pminuw pminud pmaxsb pmaxsw pmaxsd pmaxub pmaxuw pmaxud pabsb
    pabsw pabsd psignb psignw psignd phaddw phaddd phaddsw phsubw phsubd phsubsw phminposuw pcmpeqb
    pcmpeqw pcmpeqd pcmpeqq pcmpgtb pcmpgtw pcmpgtd pcmpgtq pand pandn por pxor psllw pslld psllq psrlw
    psrld psrlq psraw psrad pslldq psrldq pshufb pshufd pshufhw pshuflw palignr pblendw pinsrb pinsrw
    pinsrd pinsrq pextrb pextrw pextrd pextrq pmovsxbw pmovsxbd pmovsxbq pmovsxwd pmovsxwq pmovsxdq
    pmovzxbw pmovzxbd pmovzxbq pmovzxwd pmovzxwq pmovzxdq aesenc aesenclast aesdec aesdeclast aesimc
    aeskeygenassist pclmulqdq pclmullqlqdq pclmulhqlqdq pclmullqhqdq pclmulhqhqdq
"""
"""With and without the VEX prefix `v`."""

_SSE_ONLY = """
    blendvps blendvpd pblendvb sha1rnds4 sha1nexte sha1msg1 sha1msg2 sha256rnds2 sha256msg1 sha256msg2
"""

_VEX_ONLY = """
    vblendvps vblendvpd vpblendvb vzeroupper vzeroall vldmxcsr vstmxcsr vbroadcastss vbroadcastsd
    vbroadcastf128 vbroadcasti128 vpbroadcastb vpbroadcastw vpbroadcastd vpbroadcastq vinsertf128
    vextractf128 vinserti128 vextracti128 vperm2f128 vperm2i128 vpermilps vpermilpd vpermd vpermq
    vpermps vpermpd vpblendd vpsllvd vpsllvq vpsrlvd vpsrlvq vpsravd vcvtph2ps vcvtps2ph vcvtpd2psx
    vcvtpd2psy vcvtpd2dqx vcvtpd2dqy vcvttpd2dqx vcvttpd2dqy
"""

_VEX_FLAG_WRITERS = ("vtestps", "vtestpd")
_MASKED = "vmaskmovps vmaskmovpd vpmaskmovd vpmaskmovq"


def _float_families() -> Iterator[str]:
    types = ("ss", "sd", "ps", "pd")
    yield from (a + b for a, b in product(_FLOAT_ARITHMETIC.split(), types))
    yield from (a + b for a, b in product(_FLOAT_LOGIC.split(), types[2:]))
    yield from (f"cmp{a}{b}" for a, b in product(_COMPARISONS.split(), types))


def _vex_families() -> Iterator[str]:
    types = ("ss", "sd", "ps", "pd")
    yield from (f"vcmp{a}{b}" for a, b in product(_VEX_COMPARISONS.split(), types))
    orders = ("132", "213", "231")
    yield from (f"v{a}{o}{t}" for a, o, t in product(("fmadd", "fmsub", "fnmadd", "fnmsub"), orders, types))
    yield from (f"v{a}{o}{t}" for a, o, t in product(("fmaddsub", "fmsubadd"), orders, types[2:]))


def _families() -> VectorMnemonics:
    legacy = {*_SSE.split(), *_float_families()}
    vex = {f"v{name}" for name in legacy} | set(_VEX_ONLY.split()) | set(_vex_families())
    flag_writers = {*_FLAG_WRITERS, *(f"v{name}" for name in _FLAG_WRITERS), *_VEX_FLAG_WRITERS}
    plain = legacy | vex | set(_SSE_ONLY.split())
    return VectorMnemonics(frozenset(flag_writers), frozenset(_MASKED.split()), frozenset(plain))


VECTOR_MNEMONICS = _families()
