# A map that is one byte off: the attacker shifts what is marked.
    movl %ecx, %eax
    testb $FUNCTION, M+1(%rax)
    je 9f
    callq *%rax
9:
    hlt
