# A claimed label that is the test of a sequence.
    movl %ecx, %eax
label_inside:
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
