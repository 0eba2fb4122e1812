# The base has taken the offset's place.
    movl %ecx, %r11d
    movq %gs:BASE, %r11
    movq (%r11,%rdx), %rax
    hlt
