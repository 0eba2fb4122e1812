# bsf leaves its register alone where no bit is set: the upper half of rsp is what it was.
# isolation: data
    bsfl %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    hlt
