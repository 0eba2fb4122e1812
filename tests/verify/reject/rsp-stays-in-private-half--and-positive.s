# A positive mask clears the upper half: a host address below 2 GiB.
# isolation: data
    andq $0x7ffffff0, %rsp
    pushq %rax
    hlt
