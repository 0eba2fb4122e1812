# The base scaled by 8, the offset as the base.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    movq (%rdx,%r11,8), %rax
    hlt
