# The checked word is not the one that the jump reads.
depth_0:
    movl %eax, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET-8(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
