# rsp truncated from a host address.
    movl %eax, %esp
1:
    btrl $31, %esp
    addq %gs:BASE, %rsp
    jmp 1b
    hlt
