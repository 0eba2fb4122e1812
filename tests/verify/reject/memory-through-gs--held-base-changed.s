# What was the base is somewhere else.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    addq %rcx, %r11
    movq (%r11,%rdx), %rax
    hlt
