# A conditional first step.
# isolation: data
    cmovel %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    hlt
