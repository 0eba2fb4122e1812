# A table at 1 GiB and 4 GiB more.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    movq 0x40000000(%r11,%rdx), %rax
    hlt
