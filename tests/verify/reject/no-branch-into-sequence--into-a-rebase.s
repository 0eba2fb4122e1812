# rsp not truncated, base added again and again.
# isolation: data
1:
    movl %eax, %esp
    andl $0x3fffffff, %esp
2:
    addq %gs:BASE, %rsp
    jmp 2b
    hlt
