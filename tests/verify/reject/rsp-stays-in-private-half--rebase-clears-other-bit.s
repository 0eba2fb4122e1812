# The pool is not excluded.
    movl %eax, %esp
    andl $0x7fffffff, %esp
    addq %gs:RSP_START, %rsp
    hlt
