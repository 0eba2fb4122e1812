# A read of the target map for another mode's bits.
# base: r15
    movl %eax, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    callq *%r11
9:
    hlt
