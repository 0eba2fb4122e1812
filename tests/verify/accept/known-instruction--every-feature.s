# CPU features that only some forms of an instruction need.
    fnstsw %ax
    vaesenc %ymm1, %ymm2, %ymm3
    vpclmulqdq $1, %ymm1, %ymm2, %ymm3
    hlt
