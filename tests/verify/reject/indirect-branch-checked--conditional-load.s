# The load is conditional (its upper half is cleared anyway, but it is not the sequence).
    cmovel %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
