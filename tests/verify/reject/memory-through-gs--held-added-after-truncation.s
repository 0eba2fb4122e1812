# CVE-2026-34987 (Winch): 32 bits are added to in 64, and the upper half is taken for zero.
    movl %eax, %ecx
    addq $0x7fffffff, %rcx
    movq %gs:BASE, %r11
    movl (%r11,%rcx), %eax
    hlt
