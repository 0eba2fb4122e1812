# fs base plus a host address.
    movq %fs:8(%rsp), %rcx
    hlt
