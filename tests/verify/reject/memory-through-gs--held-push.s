# It moves rsp and writes the stack besides.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    pushq (%r11,%rdx)
    hlt
