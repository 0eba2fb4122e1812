# rsp not truncated, base added again and again.
1:
    movl %eax, %esp
    btrl $31, %esp
2:
    addq %gs:BASE, %rsp
    jmp 2b
    hlt
