# A target in rsp: its map would be read through a stack address.
    movl %eax, %esp
    testb $FUNCTION, M(%rsp)
    je 9f
    callq *%rsp
9:
    hlt
