# A bit of everything that clang emits for x86-64-v3.
.globl entry
entry:
    pushq %rbp
    movl %esp, %ebp
    subq $64, %rsp
    movq %rdi, 8(%rsp)
    movq %gs:8(%eax,%ecx,4), %rdx
    movb %ah, %gs:(%edi)
    movzbl %ch, %eax
    leaq 3(%rax,%rcx,8), %rdx
    leal -4(%rsp), %edi
    imulq $100, %rcx, %rdx
    cmovneq %gs:16(%eax), %rdx
    lock xaddq %rcx, %gs:(%eax)
    lock cmpxchg16b %gs:(%edi)
    popcntw %ax, %cx
    tzcntl %eax, %ecx
    lzcntq %gs:(%eax), %rcx
    andnq %gs:(%eax), %rcx, %rdx
    shlxq %rcx, %gs:(%eax), %rdx
    crc32w %ax, %ecx
    movbel %gs:(%eax), %ecx
    addpd %gs:(%r9d), %xmm9
    cvttss2si %xmm0, %rax
    vfmadd213pd %gs:(%eax), %ymm1, %ymm2
    vpmaskmovd %gs:(%eax), %ymm0, %ymm1
    vaesenc %xmm1, %xmm2, %xmm3
    vzeroupper
    fldt 8(%rsp)
    fstpt %gs:(%eax)
    fnstcw 6(%rsp)
    stmxcsr 4(%rsp)
    movabsq $0x123456789abcdef, %rax
    prefetcht0 %gs:(%eax)
    btq $17, %gs:(%eax)
    btq %rax, %rcx
    bswapq %rax
    rdrandl %eax
    xchgl %eax, %gs:(%ecx)
    pause
    mfence
    endbr64
    addq $64, %rsp
    popq %rbp
    retq
9:
    hlt
