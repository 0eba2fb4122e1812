# A bit that means something else, now or later.
    movl %ecx, %eax
    testb $8, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
