# So does an indirect callee.
9:
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9b
    callq *%rax
