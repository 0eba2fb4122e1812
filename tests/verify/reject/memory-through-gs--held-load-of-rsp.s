# A safe access, but what it leaves in rsp is a host address below 4 GiB.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    movl (%r11,%rdx), %esp
    hlt
