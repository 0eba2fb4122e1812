# Again, with another offset.
    movl %ecx, %edx
    movq %gs:BASE, %r11
1:
    movq 8(%r11,%rdx), %rdx
    jmp 1b
    hlt
