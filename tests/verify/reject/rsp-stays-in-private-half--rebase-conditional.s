# A conditional first step.
    cmovel %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    hlt
