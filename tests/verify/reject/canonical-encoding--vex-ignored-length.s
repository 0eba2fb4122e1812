# A vector length that a scalar instruction ignores; manuals say unpredictable.
.byte 0xc5, 0xf6, 0x58, 0xd0
    hlt
