# What was 32 bits has become 64.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    addq %rcx, %rdx
    movq (%r11,%rdx), %rax
    hlt
