# Nobody arrives inside a sequence.
    movl 8(%rsp), %r11d
fact_r11_32_1:
    testb $FUNCTION, M(%r11)
    je 9f
    callq *%r11
9:
    hlt
