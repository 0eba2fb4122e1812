# Whatever r11 was.
    movl %ecx, %edx
    movq 8(%r11,%rdx), %rax
    hlt
