# A base that the sandbox picks.
    movl %ecx, %edx
    movq %gs:(%eax), %r11
    movq 8(%r11,%rdx), %rax
    hlt
