# 3e before an indirect branch switches off its tracking.
depth_0:
    movl %eax, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    notrack jmpq *%rax
9:
    hlt
