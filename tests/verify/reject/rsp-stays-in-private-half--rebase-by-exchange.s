# xchg gives esp to a register, but no rule needs it.
# isolation: data
    xchgl %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    hlt
