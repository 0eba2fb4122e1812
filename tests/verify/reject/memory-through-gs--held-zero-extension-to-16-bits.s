# The upper 48 bits of rdx stay.
    movzbw %cl, %dx
    movq %gs:BASE, %r11
    movq 8(%r11,%rdx), %rax
    hlt
