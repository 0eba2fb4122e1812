# The offset may have 64 bits.
    movq %gs:BASE, %r11
    movq 8(%r11,%rdx), %rax
    hlt
