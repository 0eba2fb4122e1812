# Flags that the attacker set.
    jmp 1f
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
1:
    je 9f
    callq *%rax
9:
    hlt
