# 32 bits into one register, the window's base into another, then the access: the guards bound its displacement.
# isolation: data
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
# Fewer bits may be scaled, as far as that is below 2 GiB, and any offset below 2 GiB added.
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
# Once loaded, the base serves many accesses, constants among them, until something writes the register.
    movq %gs:BASE, %rbx
    movl 0x4100000(%rbx), %eax
    movl %eax, 0x7fffffff(%rbx)
    movl %eax, %ecx
    incl 8(%rbx,%rcx)
    testl %ecx, %ecx
    je 1f
    movq %rax, -R15_REACH(%rbx,%rcx)
    pushq %rbx
    movl (%rbx), %ebx
1:
# A bounded index may be scaled, and reach below.
    movq %gs:BASE, %rbx
    andl $0xfffffff, %edi
    movq -8(%rbx,%rdi,8), %rax
    shrl $4, %esi
    movq 0x7ffffff0(%rbx,%rsi,8), %rax
    shrq $35, %r8
    movl (%rbx,%r8,4), %eax
    shrl %r9d
    movb (%rbx,%r9), %al
# What writes 32 bits leaves no more.
    addl %eax, %r10d
    movl (%rbx,%r10), %eax
    addl $8, %r10d
    movl (%rbx,%r10), %eax
    subl %edx, %r10d
    xorl $0x12345678, %r10d
    movl (%rbx,%r10), %eax
    imull $24, %ecx, %r12d
    movl (%rbx,%r12), %eax
    hlt
