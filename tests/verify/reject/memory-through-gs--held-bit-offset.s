# The bit offset reaches 2^60 bytes further.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    btsq %rcx, (%r11,%rdx)
    hlt
