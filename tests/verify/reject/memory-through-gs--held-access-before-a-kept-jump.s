# Likewise with the register kept.
depth_0:
    movl (%r11,%rdx), %edx
    testb $FUNCTION, M(%rdx)
    je 9f
    movq %rdx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rdx
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
