# Straight to the jump through the stack.
depth_0_everywhere:
    jmp 1f
    movl %eax, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
1:
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
