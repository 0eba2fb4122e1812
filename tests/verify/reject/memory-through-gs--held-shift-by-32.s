# The CPU shifts by 0, and leaves even the upper half.
    .byte 0xc1, 0xea, 32
    movq %gs:BASE, %r11
    movq (%r11,%rdx,8), %rax
    hlt
