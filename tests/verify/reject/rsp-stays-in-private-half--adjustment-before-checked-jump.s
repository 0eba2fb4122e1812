# The branch to the failure label already leaves.
# isolation: data
    subq $4096, %rsp
    movl %eax, %eax
    testb $LABEL, M(%rax)
    je 9f
    jmpq *%rax
9:
    hlt
