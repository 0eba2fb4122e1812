# The branch to the failure label already leaves.
# base: r15
    subq $4096, %rsp
    movl %eax, %eax
    testb $R15_LABEL, M(%rax)
    je 9f
    jmpq *%rax
9:
    hlt
