# The map plus an index.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax,%rcx)
    je 9f
    callq *%rax
9:
    hlt
