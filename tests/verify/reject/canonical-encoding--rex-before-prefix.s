# A REX that is not last is ignored: the operand is 32 bits wide, not 64.
.byte 0x48, 0x65, 0x67, 0x8b, 0x00
    hlt
