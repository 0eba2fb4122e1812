# AMD only, and invalid elsewhere.
    vpcmov %xmm0, %xmm1, %xmm2, %xmm3
    hlt
