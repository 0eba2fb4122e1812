# Past the offset.
    jmp 1f
    movl %ecx, %edx
1:
    movq %gs:BASE, %r11
    movq 8(%r11,%rdx), %rax
    hlt
