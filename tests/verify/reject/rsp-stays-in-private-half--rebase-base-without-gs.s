# A base from host memory.
    movl %eax, %esp
    btrl $31, %esp
    addq BASE, %rsp
    hlt
