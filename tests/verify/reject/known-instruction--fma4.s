# AMD only, and undocumented on CPUs that have it.
    vfmaddpd %xmm0, %xmm1, %xmm2, %xmm3
    hlt
