# Straight to the call, with rax unchecked.
    jmp 1f
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9f
1:
    callq *%rax
9:
    hlt
