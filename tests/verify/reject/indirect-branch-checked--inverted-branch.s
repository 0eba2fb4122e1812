# The check goes on if it failed.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    jne 9f
    callq *%rax
9:
    hlt
