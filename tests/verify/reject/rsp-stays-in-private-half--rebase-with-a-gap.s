# An instruction between the steps can change what they check.
# isolation: data
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    pushq %rax
    addq %gs:RSP_START, %rsp
    hlt
