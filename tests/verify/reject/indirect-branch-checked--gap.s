# The register changes after its check.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    addq $1, %rax
    callq *%rax
9:
    hlt
