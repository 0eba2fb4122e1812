# Intel ignores the operand-size prefix, AMD reads two bytes less and truncates rip: both decode
# another text.
.byte 0x66, 0xe8, 0, 0, 0, 0
    hlt
