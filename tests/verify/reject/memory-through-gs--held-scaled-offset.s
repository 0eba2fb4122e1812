# Eight times 4 GiB.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    movq (%r11,%rdx,8), %rax
    hlt
