# The same, both ways.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    xchgq %rsp, (%r11,%rdx)
    hlt
