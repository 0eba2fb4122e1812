# bsf leaves its register alone where no bit is set: the upper half of the target is what it was.
    bsfl %edx, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
