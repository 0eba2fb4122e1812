# The first access has overwritten the offset.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    movq (%r11,%rdx), %rdx
    movq (%r11,%rdx), %rax
    hlt
