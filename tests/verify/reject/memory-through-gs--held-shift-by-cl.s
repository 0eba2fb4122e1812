# By 0, perhaps.
    shrl %cl, %edx
    movq %gs:BASE, %r11
    movq (%r11,%rdx), %rax
    hlt
