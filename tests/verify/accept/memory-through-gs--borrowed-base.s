# 32 bits into one register, the window's base into another, then the access: the guards bound its displacement.
    movl %ecx, %r11d
    movq %gs:BASE, %rcx
    movq 8(%rcx,%r11), %rcx
    leal 16(%rbx,%r12), %eax
    movq %gs:BASE, %r13
    addl -R15_REACH(%r13,%rax), %edx
    movl %gs:4(%edi), %esi
    movq %gs:BASE, %rdi
    movups %xmm1, R15_REACH(%rdi,%rsi)
    movl %ecx, %edx
    movq %gs:BASE, %rbp
    movl -8(%rbp,%rdx), %edx
    movl %ecx, %ebp
    movq %gs:BASE, %r12
    movl 8(%r12,%rbp), %edx
# 16 bits may be scaled, and any offset below 2 GiB added.
    movzbl %dl, %eax
    movq %gs:BASE, %r15
    xorl 0x7ffffff0(%r15,%rax,8), %ecx
    movzwl %gs:(%esi), %edx
    movq %gs:BASE, %rax
    movzbl table(%rax,%rdx), %edx
.set table, 0x5000000
    shrl $16, %ecx
    movq %gs:BASE, %r11
    cmpl %ecx, table(%r11,%rcx,4)
    andl $1020, %ecx
    movq %gs:BASE, %r11
    movl table(%r11,%rcx,4), %ecx
# One access after the other: the first gives the second its offset.
    movl %ecx, %edx
    movq %gs:BASE, %rcx
    movzbl (%rcx,%rdx), %edx
    movq %gs:BASE, %rcx
    movl table(%rcx,%rdx,4), %edx
    hlt
