# An instruction between the steps can change what they check.
    movl %eax, %esp
    btrl $31, %esp
    pushq %rax
    addq %gs:BASE, %rsp
    hlt
