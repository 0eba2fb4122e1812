# A jump through the stack that is too far away.
    jmpq *REACH+8(%rsp)
    hlt
