# Likewise with the register kept.
    movl (%r11,%rdx), %edx
    testb $LABEL, M(%rdx)
    je 9f
    movq %rdx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rdx
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
