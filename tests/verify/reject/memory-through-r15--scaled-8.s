# CVE-2023-26489 (Cranelift): a shift that was of 32 bits becomes a scale of 64: the index has 35 bits.
# base: r15
    movl %ecx, %r14d
    movl (%r15,%r14,8), %eax
    hlt
