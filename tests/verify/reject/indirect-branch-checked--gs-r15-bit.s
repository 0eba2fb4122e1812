# The bit of the other mode: r15 may hold anything.
    movl %eax, %r11d
    testb $R15_FUNCTION, M(%r11)
    je 9f
    callq *%r11
9:
    hlt
