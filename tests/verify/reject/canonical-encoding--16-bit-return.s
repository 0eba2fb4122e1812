# With an operand-size prefix Intel ignores it and AMD returns to a 16-bit address.
.byte 0x66, 0xc3
    hlt
