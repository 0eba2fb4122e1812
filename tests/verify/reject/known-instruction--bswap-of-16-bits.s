# Its result is undefined, and differs between vendors.
.byte 0x66, 0x0f, 0xc8
    hlt
