# Another field of the control page, or memory that the sandbox writes, as base.
    movl %eax, %esp
    btrl $31, %esp
    addq %gs:BASE+8, %rsp
    hlt
