# Every form of address that stays in the window or its guards.
# base: r15
    movl (%r15,%r14), %ecx
    movl %ecx, -R15_REACH(%r15,%r14)
    movq R15_REACH(%r15,%r14), %rcx
    movl (%r15), %ecx
    movl $1, 0x7fffffff(%r15)
    movl 8(%rsp), %ecx
    pushq 8(%r15,%r14)
    popq 8(%r15,%r14)
    pushq %r15
    pushq %r14
    lock cmpxchg16b (%r15,%r14)
    prefetcht0 (%r15,%r14)
    movups (%r15,%r14), %xmm1
    fldt (%r15,%r14)
    leaq 0x7fffffff(%rax,%rcx,8), %rdx
    leaq -8(%rip), %rdx
    hlt
