# xchg gives esp to a register, but no rule needs it.
    xchgl %eax, %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    hlt
