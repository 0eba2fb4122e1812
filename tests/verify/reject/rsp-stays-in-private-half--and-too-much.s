# An alignment to 1 MiB moves rsp by up to that.
# isolation: data
    andq $-0x100000, %rsp
    pushq %rax
    hlt
