# rsp moves between the store and the jump.
    movl %eax, %r11d
    testb $LABEL, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    pushq %rax
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
