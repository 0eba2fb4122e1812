# The sequence's own je goes to its own call.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 1f
1:
    callq *%rax
    hlt
