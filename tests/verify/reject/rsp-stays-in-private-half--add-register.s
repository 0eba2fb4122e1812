# An adjustment of unknown size.
    addq %rax, %rsp
    hlt
