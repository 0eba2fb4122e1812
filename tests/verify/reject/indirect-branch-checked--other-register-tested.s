# Another register than the loaded one: its upper half is not cleared.
    movl %ecx, %eax
    testb $FUNCTION, M(%rcx)
    je 9f
    callq *%rcx
9:
    hlt
