# The checked target is in rdx, the other one is jumped to.
depth_0:
    movl %eax, %edx
    testb $FUNCTION, M(%rdx)
    je 9f
    movq %rcx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rdx
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
