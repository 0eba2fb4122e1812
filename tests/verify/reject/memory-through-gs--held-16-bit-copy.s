# The upper bits of rdx stay.
    movw %cx, %dx
    movq %gs:BASE, %r11
    movq 8(%r11,%rdx), %rax
    hlt
