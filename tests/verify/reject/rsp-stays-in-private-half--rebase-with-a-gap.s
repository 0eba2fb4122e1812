# An instruction between the steps can change what they check.
    movl %eax, %esp
    andl $0x3fffffff, %esp
    pushq %rax
    addq %gs:BASE, %rsp
    hlt
