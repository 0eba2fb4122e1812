# The mask is sign-extended.
    andq $-8, %rdx
    movq %gs:BASE, %r11
    movq (%r11,%rdx), %rax
    hlt
