# It moves rsp and reads the stack besides.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    popq (%r11,%rdx)
    hlt
