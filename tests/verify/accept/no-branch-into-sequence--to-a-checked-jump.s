# The checks of calls and jumps may be arrived at, too.
depth_0_everywhere:
    jne 1f
1:
    movl %eax, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    callq *%r11
    jne 1b
2:
    movl %eax, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    jmpq *%r11
9:
    hlt
    jmp 2b
