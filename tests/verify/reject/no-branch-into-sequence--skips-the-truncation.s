# The map is read at any 64-bit rax.
    jmp 1f
    movl %ecx, %eax
1:
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
