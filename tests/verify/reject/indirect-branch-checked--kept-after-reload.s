# The reloaded value is stored, and not what was checked.
depth_0:
    movl %eax, %edx
    testb $FUNCTION, M(%rdx)
    je 9f
    movq SPILL_REGISTER(%rsp), %rdx
    movq %rdx, SPILL_TARGET(%rsp)
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
