# A checked branch makes safe where it goes, not what it read its target from.
    movl (%r11,%rdx), %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    callq *%r11
9:
    hlt
