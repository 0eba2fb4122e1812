# mulx has two destinations.
    mulxq %rax, %rsp, %rcx
    hlt
