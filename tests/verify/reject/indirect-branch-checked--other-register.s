# Another register than the checked one.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rcx
9:
    hlt
