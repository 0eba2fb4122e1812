# An instruction between the steps can change what they check.
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    pushq %rax
    addq %gs:RSP_START, %rsp
    hlt
