# A call through the slot: it would overwrite the red zone, and is not the sequence.
depth_0:
    movl %eax, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    callq *SPILL_TARGET(%rsp)
9:
    hlt
