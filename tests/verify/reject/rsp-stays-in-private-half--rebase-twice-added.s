# The base is added twice.
    movl %eax, %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    addq %gs:BASE, %rsp
    hlt
