# Reserved no-operations become instructions on the next CPU.
.byte 0x0f, 0x1c, 0x08
    hlt
