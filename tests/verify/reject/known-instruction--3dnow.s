# AMD only, on MMX registers.
    pfadd %mm0, %mm1
    hlt
