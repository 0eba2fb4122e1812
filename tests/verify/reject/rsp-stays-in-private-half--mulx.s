# mulx has two destinations.
# isolation: data
    mulxq %rax, %rsp, %rcx
    hlt
