# 32-bit moves and leas into r14, and reading both registers.
# base: r15
    movl %eax, %r14d
    movl $7, %r14d
    movl 8(%r15,%r14), %r14d
    movl (%rsp), %r14d
    leal (%rax,%rcx,8), %r14d
    leal 0x1000(,%rcx,8), %r14d
    movq %r15, %rax
    addq %r14, %rax
    cmpq %r14, %r15
    testb %r14b, %r15b
    movq %r14, 8(%r15,%r14)
    hlt
