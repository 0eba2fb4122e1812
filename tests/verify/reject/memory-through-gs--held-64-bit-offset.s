# A copy of 64 bits.
    movq %rcx, %rdx
    movq %gs:BASE, %r11
    movq 8(%r11,%rdx), %rax
    hlt
