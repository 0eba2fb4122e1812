# The sequence without its conditional branch: a read of host memory at any 32-bit rax.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    callq *%rax
    hlt
