# Each mnemonic that a table names. What it does to registers and flags is harmless; it branches nowhere.
# isolation: data
entry:
    adc %cl, 8(%rsp)
    adcx 8(%rsp), %ecx
    add %cl, 8(%rsp)
    addpd 8(%rsp), %xmm1
    addps 8(%rsp), %xmm1
    addsd 8(%rsp), %xmm1
    addss 8(%rsp), %xmm1
    addsubpd 8(%rsp), %xmm1
    addsubps 8(%rsp), %xmm1
    adox 8(%rsp), %ecx
    aesdec 8(%rsp), %xmm1
    aesdeclast 8(%rsp), %xmm1
    aesenc 8(%rsp), %xmm1
    aesenclast 8(%rsp), %xmm1
    aesimc 8(%rsp), %xmm1
    aeskeygenassist $1, 8(%rsp), %xmm1
    and %cl, 8(%rsp)
    andn 8(%rsp), %eax, %ecx
    andnpd 8(%rsp), %xmm1
    andnps 8(%rsp), %xmm1
    andpd 8(%rsp), %xmm1
    andps 8(%rsp), %xmm1
    bextr %eax, 8(%rsp), %ecx
    blendpd $1, 8(%rsp), %xmm1
    blendps $1, 8(%rsp), %xmm1
    blendvpd %xmm0, 8(%rsp), %xmm1
    blendvps %xmm0, 8(%rsp), %xmm1
    blsi 8(%rsp), %eax
    blsmsk 8(%rsp), %eax
    blsr 8(%rsp), %eax
    bsf 8(%rsp), %ecx
    bsr 8(%rsp), %ecx
    bswap %ebx
    bt %ecx, %ebx
    btcl $1, 8(%rsp)
    btr %ecx, %ebx
    bts %ecx, %ebx
    bzhi %eax, 8(%rsp), %ecx
    cbtw
    cltd
    cltq
    clc
    cmc
    cmova 8(%rsp), %ecx
    cmovae 8(%rsp), %ecx
    cmovb 8(%rsp), %ecx
    cmovbe 8(%rsp), %ecx
    cmove 8(%rsp), %ecx
    cmovg 8(%rsp), %ecx
    cmovge 8(%rsp), %ecx
    cmovl 8(%rsp), %ecx
    cmovle 8(%rsp), %ecx
    cmovne 8(%rsp), %ecx
    cmovno 8(%rsp), %ecx
    cmovnp 8(%rsp), %ecx
    cmovns 8(%rsp), %ecx
    cmovo 8(%rsp), %ecx
    cmovp 8(%rsp), %ecx
    cmovs 8(%rsp), %ecx
    cmp %cl, 8(%rsp)
    cmpltpd 8(%rsp), %xmm1
    cmpltps 8(%rsp), %xmm1
    cmpltsd 8(%rsp), %xmm1
    cmpltss 8(%rsp), %xmm1
    cmpxchg %cl, 8(%rsp)
    cmpxchg16b 8(%rsp)
    cmpxchg8b 8(%rsp)
    comisd 8(%rsp), %xmm1
    comiss 8(%rsp), %xmm1
    cqto
    crc32b 8(%rsp), %ecx
    cvtdq2pd 8(%rsp), %xmm1
    cvtdq2ps 8(%rsp), %xmm1
    cvtpd2dq 8(%rsp), %xmm1
    cvtpd2ps 8(%rsp), %xmm1
    cvtps2dq 8(%rsp), %xmm1
    cvtps2pd 8(%rsp), %xmm1
    cvtsd2si 8(%rsp), %ecx
    cvtsd2ss 8(%rsp), %xmm1
    cvtsi2sdl 8(%rsp), %xmm1
    cvtsi2ssl 8(%rsp), %xmm1
    cvtss2sd 8(%rsp), %xmm1
    cvtss2si 8(%rsp), %ecx
    cvttpd2dq 8(%rsp), %xmm1
    cvttps2dq 8(%rsp), %xmm1
    cvttsd2si 8(%rsp), %ecx
    cvttss2si 8(%rsp), %ecx
    cwtd
    cwtl
    decb 8(%rsp)
    divb 8(%rsp)
    divpd 8(%rsp), %xmm1
    divps 8(%rsp), %xmm1
    divsd 8(%rsp), %xmm1
    divss 8(%rsp), %xmm1
    dppd $1, 8(%rsp), %xmm1
    dpps $1, 8(%rsp), %xmm1
    endbr64
    extractps $1, %xmm1, 8(%rsp)
    f2xm1
    fabs
    fadds 8(%rsp)
    faddp
    fchs
    fcmovb %st(1), %st
    fcmovbe %st(1), %st
    fcmove %st(3), %st
    fcmovnb %st(1), %st
    fcmovnbe %st(1), %st
    fcmovne %st(3), %st
    fcmovnu %st(2), %st
    fcmovu %st(2), %st
    fcoms 8(%rsp)
    fcomi %st(5), %st
    fcomip %st(5), %st
    fcomps 8(%rsp)
    fcompp
    fcos
    fdivs 8(%rsp)
    fdivrp %st, %st(6)
    fdivrs 8(%rsp)
    fdivp %st, %st(5)
    fiaddl 8(%rsp)
    ficoml 8(%rsp)
    ficompl 8(%rsp)
    fidivl 8(%rsp)
    fidivrl 8(%rsp)
    fildl 8(%rsp)
    fimull 8(%rsp)
    fistl 8(%rsp)
    fistpl 8(%rsp)
    fisttpl 8(%rsp)
    fisubl 8(%rsp)
    fisubrl 8(%rsp)
    flds 8(%rsp)
    fld1
    fldcw 8(%rsp)
    fldl2e
    fldl2t
    fldlg2
    fldln2
    fldpi
    fldz
    fmuls 8(%rsp)
    fmulp %st, %st(3)
    fnclex
    fninit
    fnop
    fnstcw 8(%rsp)
    fnstsw 8(%rsp)
    fpatan
    fprem
    fprem1
    fptan
    frndint
    fscale
    fsin
    fsincos
    fsqrt
    fsts 8(%rsp)
    fstps 8(%rsp)
    fsubs 8(%rsp)
    fsubrp %st, %st(4)
    fsubrs 8(%rsp)
    fsubp %st, %st(2)
    ftst
    fucom %st(2)
    fucomi %st(4), %st
    fucomip %st(4), %st
    fucomp %st(4)
    fucompp
    fxam
    fxch %st(3)
    fxtract
    fyl2x
    fyl2xp1
    haddpd 8(%rsp), %xmm1
    haddps 8(%rsp), %xmm1
    hsubpd 8(%rsp), %xmm1
    hsubps 8(%rsp), %xmm1
    idivb 8(%rsp)
    imul $0x1010101, 8(%rsp), %ecx
    incb 8(%rsp)
    insertps $1, 8(%rsp), %xmm1
    int3
    lahf
    lddqu 8(%rsp), %xmm1
    ldmxcsr 8(%rsp)
    lea 8(%rsp), %ecx
    lfence
    lzcnt 8(%rsp), %ecx
    maxpd 8(%rsp), %xmm1
    maxps 8(%rsp), %xmm1
    maxsd 8(%rsp), %xmm1
    maxss 8(%rsp), %xmm1
    mfence
    minpd 8(%rsp), %xmm1
    minps 8(%rsp), %xmm1
    minsd 8(%rsp), %xmm1
    minss 8(%rsp), %xmm1
    mov %cl, 8(%rsp)
    movapd 8(%rsp), %xmm1
    movaps 8(%rsp), %xmm1
    movbe 8(%rsp), %ecx
    movd 8(%rsp), %xmm1
    movddup 8(%rsp), %xmm1
    movdqa 8(%rsp), %xmm1
    movdqu 8(%rsp), %xmm1
    movhlps %xmm3, %xmm1
    movhpd 8(%rsp), %xmm1
    movhps 8(%rsp), %xmm1
    movlhps %xmm3, %xmm1
    movlpd 8(%rsp), %xmm1
    movlps 8(%rsp), %xmm1
    movmskpd %xmm3, %ecx
    movmskps %xmm3, %ecx
    movq %xmm1, 8(%rsp)
    movsd 8(%rsp), %xmm1
    movshdup 8(%rsp), %xmm1
    movsldup 8(%rsp), %xmm1
    movss 8(%rsp), %xmm1
    movsbl 8(%rsp), %ecx
    movslq 8(%rsp), %rcx
    movupd 8(%rsp), %xmm1
    movups 8(%rsp), %xmm1
    movzbl 8(%rsp), %ecx
    mpsadbw $1, 8(%rsp), %xmm1
    mulb 8(%rsp)
    mulpd 8(%rsp), %xmm1
    mulps 8(%rsp), %xmm1
    mulsd 8(%rsp), %xmm1
    mulss 8(%rsp), %xmm1
    mulx 8(%rsp), %eax, %ecx
    negb 8(%rsp)
    nop
    notb 8(%rsp)
    or %cl, 8(%rsp)
    orpd 8(%rsp), %xmm1
    orps 8(%rsp), %xmm1
    pabsb 8(%rsp), %xmm1
    pabsd 8(%rsp), %xmm1
    pabsw 8(%rsp), %xmm1
    packssdw 8(%rsp), %xmm1
    packsswb 8(%rsp), %xmm1
    packusdw 8(%rsp), %xmm1
    packuswb 8(%rsp), %xmm1
    paddb 8(%rsp), %xmm1
    paddd 8(%rsp), %xmm1
    paddq 8(%rsp), %xmm1
    paddsb 8(%rsp), %xmm1
    paddsw 8(%rsp), %xmm1
    paddusb 8(%rsp), %xmm1
    paddusw 8(%rsp), %xmm1
    paddw 8(%rsp), %xmm1
    palignr $1, 8(%rsp), %xmm1
    pand 8(%rsp), %xmm1
    pandn 8(%rsp), %xmm1
    pause
    pavgb 8(%rsp), %xmm1
    pavgw 8(%rsp), %xmm1
    pblendvb %xmm0, 8(%rsp), %xmm1
    pblendw $1, 8(%rsp), %xmm1
    pclmulhqlqdq 8(%rsp), %xmm1
    pcmpeqb 8(%rsp), %xmm1
    pcmpeqd 8(%rsp), %xmm1
    pcmpeqq 8(%rsp), %xmm1
    pcmpeqw 8(%rsp), %xmm1
    pcmpestri $1, 8(%rsp), %xmm1
    pcmpestrm $1, 8(%rsp), %xmm1
    pcmpgtb 8(%rsp), %xmm1
    pcmpgtd 8(%rsp), %xmm1
    pcmpgtq 8(%rsp), %xmm1
    pcmpgtw 8(%rsp), %xmm1
    pcmpistri $1, 8(%rsp), %xmm1
    pcmpistrm $1, 8(%rsp), %xmm1
    pdep 8(%rsp), %eax, %ecx
    pext 8(%rsp), %eax, %ecx
    pextrb $1, %xmm1, 8(%rsp)
    pextrd $1, %xmm1, 8(%rsp)
    pextrq $1, %xmm1, 8(%rsp)
    pextrw $1, %xmm3, %ecx
    phaddd 8(%rsp), %xmm1
    phaddsw 8(%rsp), %xmm1
    phaddw 8(%rsp), %xmm1
    phminposuw 8(%rsp), %xmm1
    phsubd 8(%rsp), %xmm1
    phsubsw 8(%rsp), %xmm1
    phsubw 8(%rsp), %xmm1
    pinsrb $1, 8(%rsp), %xmm1
    pinsrd $1, 8(%rsp), %xmm1
    pinsrq $1, 8(%rsp), %xmm1
    pinsrw $1, 8(%rsp), %xmm1
    pmaddubsw 8(%rsp), %xmm1
    pmaddwd 8(%rsp), %xmm1
    pmaxsb 8(%rsp), %xmm1
    pmaxsd 8(%rsp), %xmm1
    pmaxsw 8(%rsp), %xmm1
    pmaxub 8(%rsp), %xmm1
    pmaxud 8(%rsp), %xmm1
    pmaxuw 8(%rsp), %xmm1
    pminsb 8(%rsp), %xmm1
    pminsd 8(%rsp), %xmm1
    pminsw 8(%rsp), %xmm1
    pminub 8(%rsp), %xmm1
    pminud 8(%rsp), %xmm1
    pminuw 8(%rsp), %xmm1
    pmovmskb %xmm3, %ecx
    pmovsxbd 8(%rsp), %xmm1
    pmovsxbq 8(%rsp), %xmm1
    pmovsxbw 8(%rsp), %xmm1
    pmovsxdq 8(%rsp), %xmm1
    pmovsxwd 8(%rsp), %xmm1
    pmovsxwq 8(%rsp), %xmm1
    pmovzxbd 8(%rsp), %xmm1
    pmovzxbq 8(%rsp), %xmm1
    pmovzxbw 8(%rsp), %xmm1
    pmovzxdq 8(%rsp), %xmm1
    pmovzxwd 8(%rsp), %xmm1
    pmovzxwq 8(%rsp), %xmm1
    pmuldq 8(%rsp), %xmm1
    pmulhrsw 8(%rsp), %xmm1
    pmulhuw 8(%rsp), %xmm1
    pmulhw 8(%rsp), %xmm1
    pmulld 8(%rsp), %xmm1
    pmullw 8(%rsp), %xmm1
    pmuludq 8(%rsp), %xmm1
    popcnt 8(%rsp), %ecx
    por 8(%rsp), %xmm1
    prefetchnta 8(%rsp)
    prefetcht0 8(%rsp)
    prefetcht1 8(%rsp)
    prefetcht2 8(%rsp)
    prefetchw 8(%rsp)
    psadbw 8(%rsp), %xmm1
    pshufb 8(%rsp), %xmm1
    pshufd $1, 8(%rsp), %xmm1
    pshufhw $1, 8(%rsp), %xmm1
    pshuflw $1, 8(%rsp), %xmm1
    psignb 8(%rsp), %xmm1
    psignd 8(%rsp), %xmm1
    psignw 8(%rsp), %xmm1
    pslld $1, %xmm5
    pslldq $1, %xmm6
    psllq $1, %xmm5
    psllw $1, %xmm5
    psrad $1, %xmm2
    psraw $1, %xmm2
    psrld $1, %xmm1
    psrldq $1, %xmm2
    psrlq $1, %xmm1
    psrlw $1, %xmm1
    psubb 8(%rsp), %xmm1
    psubd 8(%rsp), %xmm1
    psubq 8(%rsp), %xmm1
    psubsb 8(%rsp), %xmm1
    psubsw 8(%rsp), %xmm1
    psubusb 8(%rsp), %xmm1
    psubusw 8(%rsp), %xmm1
    psubw 8(%rsp), %xmm1
    ptest 8(%rsp), %xmm1
    punpckhbw 8(%rsp), %xmm1
    punpckhdq 8(%rsp), %xmm1
    punpckhqdq 8(%rsp), %xmm1
    punpckhwd 8(%rsp), %xmm1
    punpcklbw 8(%rsp), %xmm1
    punpckldq 8(%rsp), %xmm1
    punpcklqdq 8(%rsp), %xmm1
    punpcklwd 8(%rsp), %xmm1
    pxor 8(%rsp), %xmm1
    rclb $1, 8(%rsp)
    rcpps 8(%rsp), %xmm1
    rcpss 8(%rsp), %xmm1
    rcrb $1, 8(%rsp)
    rdrand %ebp
    rdseed %esi
    rolb $1, 8(%rsp)
    rorb $1, 8(%rsp)
    rorx $1, 8(%rsp), %ecx
    roundpd $1, 8(%rsp), %xmm1
    roundps $1, 8(%rsp), %xmm1
    roundsd $1, 8(%rsp), %xmm1
    roundss $1, 8(%rsp), %xmm1
    rsqrtps 8(%rsp), %xmm1
    rsqrtss 8(%rsp), %xmm1
    sahf
    sarb $1, 8(%rsp)
    sarx %eax, 8(%rsp), %ecx
    sbb %cl, 8(%rsp)
    seta 8(%rsp)
    setae 8(%rsp)
    setb 8(%rsp)
    setbe 8(%rsp)
    sete 8(%rsp)
    setg 8(%rsp)
    setge 8(%rsp)
    setl 8(%rsp)
    setle 8(%rsp)
    setne 8(%rsp)
    setno 8(%rsp)
    setnp 8(%rsp)
    setns 8(%rsp)
    seto 8(%rsp)
    setp 8(%rsp)
    sets 8(%rsp)
    sfence
    sha1msg1 8(%rsp), %xmm1
    sha1msg2 8(%rsp), %xmm1
    sha1nexte 8(%rsp), %xmm1
    sha1rnds4 $1, 8(%rsp), %xmm1
    sha256msg1 8(%rsp), %xmm1
    sha256msg2 8(%rsp), %xmm1
    sha256rnds2 %xmm0, 8(%rsp), %xmm1
    shlb $1, 8(%rsp)
    shld $1, %ecx, 8(%rsp)
    shlx %eax, 8(%rsp), %ecx
    shrb $1, 8(%rsp)
    shrd $1, %ecx, 8(%rsp)
    shrx %eax, 8(%rsp), %ecx
    shufpd $1, 8(%rsp), %xmm1
    shufps $1, 8(%rsp), %xmm1
    sqrtpd 8(%rsp), %xmm1
    sqrtps 8(%rsp), %xmm1
    sqrtsd 8(%rsp), %xmm1
    sqrtss 8(%rsp), %xmm1
    stc
    stmxcsr 8(%rsp)
    sub %cl, 8(%rsp)
    subpd 8(%rsp), %xmm1
    subps 8(%rsp), %xmm1
    subsd 8(%rsp), %xmm1
    subss 8(%rsp), %xmm1
    test %cl, 8(%rsp)
    tzcnt 8(%rsp), %ecx
    ucomisd 8(%rsp), %xmm1
    ucomiss 8(%rsp), %xmm1
    unpckhpd 8(%rsp), %xmm1
    unpckhps 8(%rsp), %xmm1
    unpcklpd 8(%rsp), %xmm1
    unpcklps 8(%rsp), %xmm1
    vaddpd 8(%rsp), %xmm0, %xmm1
    vaddps 8(%rsp), %xmm0, %xmm1
    vaddsd 8(%rsp), %xmm0, %xmm1
    vaddss 8(%rsp), %xmm0, %xmm1
    vaddsubpd 8(%rsp), %xmm0, %xmm1
    vaddsubps 8(%rsp), %xmm0, %xmm1
    vaesdec 8(%rsp), %xmm0, %xmm1
    vaesdeclast 8(%rsp), %xmm0, %xmm1
    vaesenc 8(%rsp), %xmm0, %xmm1
    vaesenclast 8(%rsp), %xmm0, %xmm1
    vaesimc 8(%rsp), %xmm1
    vaeskeygenassist $1, 8(%rsp), %xmm1
    vandnpd 8(%rsp), %xmm0, %xmm1
    vandnps 8(%rsp), %xmm0, %xmm1
    vandpd 8(%rsp), %xmm0, %xmm1
    vandps 8(%rsp), %xmm0, %xmm1
    vblendpd $1, 8(%rsp), %xmm0, %xmm1
    vblendps $1, 8(%rsp), %xmm0, %xmm1
    vbroadcastf128 8(%rsp), %ymm1
    vbroadcasti128 8(%rsp), %ymm1
    vbroadcastsd 8(%rsp), %ymm1
    vbroadcastss 8(%rsp), %xmm1
    vcmpltpd 8(%rsp), %xmm0, %xmm1
    vcmpltps 8(%rsp), %xmm0, %xmm1
    vcmpltsd 8(%rsp), %xmm0, %xmm1
    vcmpltss 8(%rsp), %xmm0, %xmm1
    vcomisd 8(%rsp), %xmm1
    vcomiss 8(%rsp), %xmm1
    vcvtdq2pd 8(%rsp), %xmm1
    vcvtdq2ps 8(%rsp), %xmm1
    vcvtpd2dqx 8(%rsp), %xmm1
    vcvtpd2psx 8(%rsp), %xmm1
    vcvtph2ps 8(%rsp), %xmm1
    vcvtps2dq 8(%rsp), %xmm1
    vcvtps2pd 8(%rsp), %xmm1
    vcvtps2ph $1, %xmm1, 8(%rsp)
    vcvtsd2si 8(%rsp), %ecx
    vcvtsd2ss 8(%rsp), %xmm0, %xmm1
    vcvtsi2sdl 8(%rsp), %xmm0, %xmm1
    vcvtsi2ssl 8(%rsp), %xmm0, %xmm1
    vcvtss2sd 8(%rsp), %xmm0, %xmm1
    vcvtss2si 8(%rsp), %ecx
    vcvttpd2dqx 8(%rsp), %xmm1
    vcvttps2dq 8(%rsp), %xmm1
    vcvttsd2si 8(%rsp), %ecx
    vcvttss2si 8(%rsp), %ecx
    vdivpd 8(%rsp), %xmm0, %xmm1
    vdivps 8(%rsp), %xmm0, %xmm1
    vdivsd 8(%rsp), %xmm0, %xmm1
    vdivss 8(%rsp), %xmm0, %xmm1
    vdppd $1, 8(%rsp), %xmm0, %xmm1
    vdpps $1, 8(%rsp), %xmm0, %xmm1
    vextractf128 $1, %ymm1, 8(%rsp)
    vextracti128 $1, %ymm1, 8(%rsp)
    vextractps $1, %xmm1, 8(%rsp)
    vfmadd132pd 8(%rsp), %xmm0, %xmm1
    vfmadd132ps 8(%rsp), %xmm0, %xmm1
    vfmadd132sd 8(%rsp), %xmm0, %xmm1
    vfmadd132ss 8(%rsp), %xmm0, %xmm1
    vfmadd213pd 8(%rsp), %xmm0, %xmm1
    vfmadd213ps 8(%rsp), %xmm0, %xmm1
    vfmadd213sd 8(%rsp), %xmm0, %xmm1
    vfmadd213ss 8(%rsp), %xmm0, %xmm1
    vfmadd231pd 8(%rsp), %xmm0, %xmm1
    vfmadd231ps 8(%rsp), %xmm0, %xmm1
    vfmadd231sd 8(%rsp), %xmm0, %xmm1
    vfmadd231ss 8(%rsp), %xmm0, %xmm1
    vfmaddsub132pd 8(%rsp), %xmm0, %xmm1
    vfmaddsub132ps 8(%rsp), %xmm0, %xmm1
    vfmaddsub213pd 8(%rsp), %xmm0, %xmm1
    vfmaddsub213ps 8(%rsp), %xmm0, %xmm1
    vfmaddsub231pd 8(%rsp), %xmm0, %xmm1
    vfmaddsub231ps 8(%rsp), %xmm0, %xmm1
    vfmsub132pd 8(%rsp), %xmm0, %xmm1
    vfmsub132ps 8(%rsp), %xmm0, %xmm1
    vfmsub132sd 8(%rsp), %xmm0, %xmm1
    vfmsub132ss 8(%rsp), %xmm0, %xmm1
    vfmsub213pd 8(%rsp), %xmm0, %xmm1
    vfmsub213ps 8(%rsp), %xmm0, %xmm1
    vfmsub213sd 8(%rsp), %xmm0, %xmm1
    vfmsub213ss 8(%rsp), %xmm0, %xmm1
    vfmsub231pd 8(%rsp), %xmm0, %xmm1
    vfmsub231ps 8(%rsp), %xmm0, %xmm1
    vfmsub231sd 8(%rsp), %xmm0, %xmm1
    vfmsub231ss 8(%rsp), %xmm0, %xmm1
    vfmsubadd132pd 8(%rsp), %xmm0, %xmm1
    vfmsubadd132ps 8(%rsp), %xmm0, %xmm1
    vfmsubadd213pd 8(%rsp), %xmm0, %xmm1
    vfmsubadd213ps 8(%rsp), %xmm0, %xmm1
    vfmsubadd231pd 8(%rsp), %xmm0, %xmm1
    vfmsubadd231ps 8(%rsp), %xmm0, %xmm1
    vfnmadd132pd 8(%rsp), %xmm0, %xmm1
    vfnmadd132ps 8(%rsp), %xmm0, %xmm1
    vfnmadd132sd 8(%rsp), %xmm0, %xmm1
    vfnmadd132ss 8(%rsp), %xmm0, %xmm1
    vfnmadd213pd 8(%rsp), %xmm0, %xmm1
    vfnmadd213ps 8(%rsp), %xmm0, %xmm1
    vfnmadd213sd 8(%rsp), %xmm0, %xmm1
    vfnmadd213ss 8(%rsp), %xmm0, %xmm1
    vfnmadd231pd 8(%rsp), %xmm0, %xmm1
    vfnmadd231ps 8(%rsp), %xmm0, %xmm1
    vfnmadd231sd 8(%rsp), %xmm0, %xmm1
    vfnmadd231ss 8(%rsp), %xmm0, %xmm1
    vfnmsub132pd 8(%rsp), %xmm0, %xmm1
    vfnmsub132ps 8(%rsp), %xmm0, %xmm1
    vfnmsub132sd 8(%rsp), %xmm0, %xmm1
    vfnmsub132ss 8(%rsp), %xmm0, %xmm1
    vfnmsub213pd 8(%rsp), %xmm0, %xmm1
    vfnmsub213ps 8(%rsp), %xmm0, %xmm1
    vfnmsub213sd 8(%rsp), %xmm0, %xmm1
    vfnmsub213ss 8(%rsp), %xmm0, %xmm1
    vfnmsub231pd 8(%rsp), %xmm0, %xmm1
    vfnmsub231ps 8(%rsp), %xmm0, %xmm1
    vfnmsub231sd 8(%rsp), %xmm0, %xmm1
    vfnmsub231ss 8(%rsp), %xmm0, %xmm1
    vhaddpd 8(%rsp), %xmm0, %xmm1
    vhaddps 8(%rsp), %xmm0, %xmm1
    vhsubpd 8(%rsp), %xmm0, %xmm1
    vhsubps 8(%rsp), %xmm0, %xmm1
    vinsertf128 $1, 8(%rsp), %ymm0, %ymm1
    vinserti128 $1, 8(%rsp), %ymm0, %ymm1
    vinsertps $1, 8(%rsp), %xmm0, %xmm1
    vlddqu 8(%rsp), %xmm1
    vldmxcsr 8(%rsp)
    vmaskmovpd 8(%rsp), %xmm0, %xmm1
    vmaskmovps 8(%rsp), %xmm0, %xmm1
    vmaxpd 8(%rsp), %xmm0, %xmm1
    vmaxps 8(%rsp), %xmm0, %xmm1
    vmaxsd 8(%rsp), %xmm0, %xmm1
    vmaxss 8(%rsp), %xmm0, %xmm1
    vminpd 8(%rsp), %xmm0, %xmm1
    vminps 8(%rsp), %xmm0, %xmm1
    vminsd 8(%rsp), %xmm0, %xmm1
    vminss 8(%rsp), %xmm0, %xmm1
    vmovapd 8(%rsp), %xmm1
    vmovaps 8(%rsp), %xmm1
    vmovd 8(%rsp), %xmm1
    vmovddup 8(%rsp), %xmm1
    vmovdqa 8(%rsp), %xmm1
    vmovdqu 8(%rsp), %xmm1
    vmovhlps %xmm3, %xmm0, %xmm1
    vmovhpd 8(%rsp), %xmm0, %xmm1
    vmovhps 8(%rsp), %xmm0, %xmm1
    vmovlhps %xmm3, %xmm0, %xmm1
    vmovlpd 8(%rsp), %xmm0, %xmm1
    vmovlps 8(%rsp), %xmm0, %xmm1
    vmovmskpd %xmm3, %ecx
    vmovmskps %xmm3, %ecx
    vmovq %xmm1, 8(%rsp)
    vmovsd 8(%rsp), %xmm1
    vmovshdup 8(%rsp), %xmm1
    vmovsldup 8(%rsp), %xmm1
    vmovss 8(%rsp), %xmm1
    vmovupd 8(%rsp), %xmm1
    vmovups 8(%rsp), %xmm1
    vmpsadbw $1, 8(%rsp), %xmm0, %xmm1
    vmulpd 8(%rsp), %xmm0, %xmm1
    vmulps 8(%rsp), %xmm0, %xmm1
    vmulsd 8(%rsp), %xmm0, %xmm1
    vmulss 8(%rsp), %xmm0, %xmm1
    vorpd 8(%rsp), %xmm0, %xmm1
    vorps 8(%rsp), %xmm0, %xmm1
    vpabsb 8(%rsp), %xmm1
    vpabsd 8(%rsp), %xmm1
    vpabsw 8(%rsp), %xmm1
    vpackssdw 8(%rsp), %xmm0, %xmm1
    vpacksswb 8(%rsp), %xmm0, %xmm1
    vpackusdw 8(%rsp), %xmm0, %xmm1
    vpackuswb 8(%rsp), %xmm0, %xmm1
    vpaddb 8(%rsp), %xmm0, %xmm1
    vpaddd 8(%rsp), %xmm0, %xmm1
    vpaddq 8(%rsp), %xmm0, %xmm1
    vpaddsb 8(%rsp), %xmm0, %xmm1
    vpaddsw 8(%rsp), %xmm0, %xmm1
    vpaddusb 8(%rsp), %xmm0, %xmm1
    vpaddusw 8(%rsp), %xmm0, %xmm1
    vpaddw 8(%rsp), %xmm0, %xmm1
    vpalignr $1, 8(%rsp), %xmm0, %xmm1
    vpand 8(%rsp), %xmm0, %xmm1
    vpandn 8(%rsp), %xmm0, %xmm1
    vpavgb 8(%rsp), %xmm0, %xmm1
    vpavgw 8(%rsp), %xmm0, %xmm1
    vpblendd $1, 8(%rsp), %xmm0, %xmm1
    vpblendw $1, 8(%rsp), %xmm0, %xmm1
    vpbroadcastb 8(%rsp), %xmm1
    vpbroadcastd 8(%rsp), %xmm1
    vpbroadcastq 8(%rsp), %xmm1
    vpbroadcastw 8(%rsp), %xmm1
    vpclmulhqlqdq 8(%rsp), %xmm0, %xmm1
    vpcmpeqb 8(%rsp), %xmm0, %xmm1
    vpcmpeqd 8(%rsp), %xmm0, %xmm1
    vpcmpeqq 8(%rsp), %xmm0, %xmm1
    vpcmpeqw 8(%rsp), %xmm0, %xmm1
    vpcmpestri $1, 8(%rsp), %xmm1
    vpcmpestrm $1, 8(%rsp), %xmm1
    vpcmpgtb 8(%rsp), %xmm0, %xmm1
    vpcmpgtd 8(%rsp), %xmm0, %xmm1
    vpcmpgtq 8(%rsp), %xmm0, %xmm1
    vpcmpgtw 8(%rsp), %xmm0, %xmm1
    vpcmpistri $1, 8(%rsp), %xmm1
    vpcmpistrm $1, 8(%rsp), %xmm1
    vperm2f128 $1, 8(%rsp), %ymm0, %ymm1
    vperm2i128 $1, 8(%rsp), %ymm0, %ymm1
    vpermd 8(%rsp), %ymm0, %ymm1
    vpermilpd 8(%rsp), %xmm0, %xmm1
    vpermilps 8(%rsp), %xmm0, %xmm1
    vpermpd $1, 8(%rsp), %ymm1
    vpermps 8(%rsp), %ymm0, %ymm1
    vpermq $1, 8(%rsp), %ymm1
    vpextrb $1, %xmm1, 8(%rsp)
    vpextrd $1, %xmm1, 8(%rsp)
    vpextrq $1, %xmm1, 8(%rsp)
    vpextrw $1, %xmm3, %ecx
    vphaddd 8(%rsp), %xmm0, %xmm1
    vphaddsw 8(%rsp), %xmm0, %xmm1
    vphaddw 8(%rsp), %xmm0, %xmm1
    vphminposuw 8(%rsp), %xmm1
    vphsubd 8(%rsp), %xmm0, %xmm1
    vphsubsw 8(%rsp), %xmm0, %xmm1
    vphsubw 8(%rsp), %xmm0, %xmm1
    vpinsrb $1, 8(%rsp), %xmm0, %xmm1
    vpinsrd $1, 8(%rsp), %xmm0, %xmm1
    vpinsrq $1, 8(%rsp), %xmm0, %xmm1
    vpinsrw $1, 8(%rsp), %xmm0, %xmm1
    vpmaddubsw 8(%rsp), %xmm0, %xmm1
    vpmaddwd 8(%rsp), %xmm0, %xmm1
    vpmaskmovd 8(%rsp), %xmm0, %xmm1
    vpmaskmovq 8(%rsp), %xmm0, %xmm1
    vpmaxsb 8(%rsp), %xmm0, %xmm1
    vpmaxsd 8(%rsp), %xmm0, %xmm1
    vpmaxsw 8(%rsp), %xmm0, %xmm1
    vpmaxub 8(%rsp), %xmm0, %xmm1
    vpmaxud 8(%rsp), %xmm0, %xmm1
    vpmaxuw 8(%rsp), %xmm0, %xmm1
    vpminsb 8(%rsp), %xmm0, %xmm1
    vpminsd 8(%rsp), %xmm0, %xmm1
    vpminsw 8(%rsp), %xmm0, %xmm1
    vpminub 8(%rsp), %xmm0, %xmm1
    vpminud 8(%rsp), %xmm0, %xmm1
    vpminuw 8(%rsp), %xmm0, %xmm1
    vpmovmskb %xmm3, %ecx
    vpmovsxbd 8(%rsp), %xmm1
    vpmovsxbq 8(%rsp), %xmm1
    vpmovsxbw 8(%rsp), %xmm1
    vpmovsxdq 8(%rsp), %xmm1
    vpmovsxwd 8(%rsp), %xmm1
    vpmovsxwq 8(%rsp), %xmm1
    vpmovzxbd 8(%rsp), %xmm1
    vpmovzxbq 8(%rsp), %xmm1
    vpmovzxbw 8(%rsp), %xmm1
    vpmovzxdq 8(%rsp), %xmm1
    vpmovzxwd 8(%rsp), %xmm1
    vpmovzxwq 8(%rsp), %xmm1
    vpmuldq 8(%rsp), %xmm0, %xmm1
    vpmulhrsw 8(%rsp), %xmm0, %xmm1
    vpmulhuw 8(%rsp), %xmm0, %xmm1
    vpmulhw 8(%rsp), %xmm0, %xmm1
    vpmulld 8(%rsp), %xmm0, %xmm1
    vpmullw 8(%rsp), %xmm0, %xmm1
    vpmuludq 8(%rsp), %xmm0, %xmm1
    vpor 8(%rsp), %xmm0, %xmm1
    vpsadbw 8(%rsp), %xmm0, %xmm1
    vpshufb 8(%rsp), %xmm0, %xmm1
    vpshufd $1, 8(%rsp), %xmm1
    vpshufhw $1, 8(%rsp), %xmm1
    vpshuflw $1, 8(%rsp), %xmm1
    vpsignb 8(%rsp), %xmm0, %xmm1
    vpsignd 8(%rsp), %xmm0, %xmm1
    vpsignw 8(%rsp), %xmm0, %xmm1
    vpslld $1, %xmm5, %xmm0
    vpslldq $1, %xmm6, %xmm0
    vpsllq $1, %xmm5, %xmm0
    vpsllvd 8(%rsp), %xmm0, %xmm1
    vpsllvq 8(%rsp), %xmm0, %xmm1
    vpsllw $1, %xmm5, %xmm0
    vpsrad $1, %xmm2, %xmm0
    vpsravd 8(%rsp), %xmm0, %xmm1
    vpsraw $1, %xmm2, %xmm0
    vpsrld $1, %xmm1, %xmm0
    vpsrldq $1, %xmm2, %xmm0
    vpsrlq $1, %xmm1, %xmm0
    vpsrlvd 8(%rsp), %xmm0, %xmm1
    vpsrlvq 8(%rsp), %xmm0, %xmm1
    vpsrlw $1, %xmm1, %xmm0
    vpsubb 8(%rsp), %xmm0, %xmm1
    vpsubd 8(%rsp), %xmm0, %xmm1
    vpsubq 8(%rsp), %xmm0, %xmm1
    vpsubsb 8(%rsp), %xmm0, %xmm1
    vpsubsw 8(%rsp), %xmm0, %xmm1
    vpsubusb 8(%rsp), %xmm0, %xmm1
    vpsubusw 8(%rsp), %xmm0, %xmm1
    vpsubw 8(%rsp), %xmm0, %xmm1
    vptest 8(%rsp), %xmm1
    vpunpckhbw 8(%rsp), %xmm0, %xmm1
    vpunpckhdq 8(%rsp), %xmm0, %xmm1
    vpunpckhqdq 8(%rsp), %xmm0, %xmm1
    vpunpckhwd 8(%rsp), %xmm0, %xmm1
    vpunpcklbw 8(%rsp), %xmm0, %xmm1
    vpunpckldq 8(%rsp), %xmm0, %xmm1
    vpunpcklqdq 8(%rsp), %xmm0, %xmm1
    vpunpcklwd 8(%rsp), %xmm0, %xmm1
    vpxor 8(%rsp), %xmm0, %xmm1
    vrcpps 8(%rsp), %xmm1
    vrcpss 8(%rsp), %xmm0, %xmm1
    vroundpd $1, 8(%rsp), %xmm1
    vroundps $1, 8(%rsp), %xmm1
    vroundsd $1, 8(%rsp), %xmm0, %xmm1
    vroundss $1, 8(%rsp), %xmm0, %xmm1
    vrsqrtps 8(%rsp), %xmm1
    vrsqrtss 8(%rsp), %xmm0, %xmm1
    vshufpd $1, 8(%rsp), %xmm0, %xmm1
    vshufps $1, 8(%rsp), %xmm0, %xmm1
    vsqrtpd 8(%rsp), %xmm1
    vsqrtps 8(%rsp), %xmm1
    vsqrtsd 8(%rsp), %xmm0, %xmm1
    vsqrtss 8(%rsp), %xmm0, %xmm1
    vstmxcsr 8(%rsp)
    vsubpd 8(%rsp), %xmm0, %xmm1
    vsubps 8(%rsp), %xmm0, %xmm1
    vsubsd 8(%rsp), %xmm0, %xmm1
    vsubss 8(%rsp), %xmm0, %xmm1
    vtestpd 8(%rsp), %xmm1
    vtestps 8(%rsp), %xmm1
    vucomisd 8(%rsp), %xmm1
    vucomiss 8(%rsp), %xmm1
    vunpckhpd 8(%rsp), %xmm0, %xmm1
    vunpckhps 8(%rsp), %xmm0, %xmm1
    vunpcklpd 8(%rsp), %xmm0, %xmm1
    vunpcklps 8(%rsp), %xmm0, %xmm1
    vxorpd 8(%rsp), %xmm0, %xmm1
    vxorps 8(%rsp), %xmm0, %xmm1
    vzeroall
    vzeroupper
    fwait
    xadd %cl, 8(%rsp)
    xchg %cl, 8(%rsp)
    xor %cl, 8(%rsp)
    xorpd 8(%rsp), %xmm1
    xorps 8(%rsp), %xmm1
    vblendvpd %xmm2, 8(%rsp), %xmm0, %xmm1
    vblendvps %xmm2, 8(%rsp), %xmm0, %xmm1
    vpblendvb %xmm2, 8(%rsp), %xmm0, %xmm1
    ud2
    hlt
