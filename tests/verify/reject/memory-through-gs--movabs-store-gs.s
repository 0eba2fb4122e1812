# gs base plus a 64-bit displacement.
.byte 0x65, 0x48, 0xa3, 0, 0, 0, 0, 1, 0, 0, 0
    hlt
