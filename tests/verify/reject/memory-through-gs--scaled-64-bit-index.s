# CVE-2023-26489 (Cranelift): a shift that was of 32 bits becomes a scale of 64: the index has 35 bits.
    movl %ecx, %ecx
    movl %gs:(,%rcx,8), %eax
    hlt
