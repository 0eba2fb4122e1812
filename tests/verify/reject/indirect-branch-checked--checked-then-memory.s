# The word in memory is checked, then read again: another thread may write in between.
    movl %gs:(%ecx), %eax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%gs:(%ecx)
9:
    hlt
