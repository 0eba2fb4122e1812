# AVX-512 has masks, broadcasts and 64-byte operands that no rule looks at.
    vaddpd %zmm0, %zmm1, %zmm2
    hlt
