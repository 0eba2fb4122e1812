# The base as an index alone: a displacement of 32 bits is added to twice of it.
    movq %gs:BASE, %r11
    movl 8(,%r11,2), %eax
    hlt
