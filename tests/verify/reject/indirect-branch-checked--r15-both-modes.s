# A mask with a bit of either mode.
# base: r15
    movl %eax, %r11d
    testb $FUNCTION|R15_FUNCTION, M(%r11)
    je 9f
    callq *%r11
9:
    hlt
