# An adjustment of unknown size.
# isolation: data
    addq %rax, %rsp
    hlt
