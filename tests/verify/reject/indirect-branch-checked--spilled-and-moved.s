# rsp moves between the store and the jump.
depth_0:
    movl %eax, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    pushq %rax
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
