# CVE-2023-26489 (Cranelift): a shift that was of 32 bits becomes a scale of 64: the index has 35 bits.
    movl %edx, %ecx
    movq %gs:BASE, %r11
    movl (%r11,%rcx,8), %eax
    hlt
