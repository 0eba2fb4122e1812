# 3e before an indirect branch switches off its tracking.
    movl %eax, %eax
    testb $LABEL, M(%rax)
    je 9f
    notrack jmpq *%rax
9:
    hlt
