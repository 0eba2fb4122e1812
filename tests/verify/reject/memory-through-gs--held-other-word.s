# Beside the base in the control page is the heap, and what the sandbox writes is elsewhere.
    movl %ecx, %edx
    movq %gs:BASE+8, %r11
    movq 8(%r11,%rdx), %rax
    hlt
