# Masked accesses are bounded like others.
    vmaskmovps REACH+8(%rsp), %ymm0, %ymm1
    hlt
