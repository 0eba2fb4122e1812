# gs base plus a host address.
    movq %gs:8(%rsp), %rcx
    hlt
