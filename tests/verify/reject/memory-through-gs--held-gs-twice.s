# The window's base, twice.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    movq %gs:(%r11,%rdx), %rax
    hlt
