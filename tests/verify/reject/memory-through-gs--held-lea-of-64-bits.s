# An address of 64 bits.
    leaq 8(%rcx), %rdx
    movq %gs:BASE, %r11
    movq (%r11,%rdx), %rax
    hlt
