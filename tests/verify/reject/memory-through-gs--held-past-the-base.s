# Past the base.
    jmp 1f
    movl %ecx, %edx
    movq %gs:BASE, %r11
1:
    movq 8(%r11,%rdx), %rax
    hlt
