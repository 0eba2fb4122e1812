# The failure branch of a check is a branch like others.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9f+1
    callq *%rax
9:
    movl $0xc3050f, %eax
    hlt
