# An instruction between the steps can change what they check.
# isolation: data
    movl %eax, %esp
    andl $0x3fffffff, %esp
    pushq %rax
    addq %gs:BASE, %rsp
    hlt
