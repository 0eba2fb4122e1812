# Base plus base.
    movl %ecx, %r11d
    movq %gs:BASE, %r11
    movq (%r11,%r11), %rax
    hlt
