# VIA C3: 0f 3f goes on in another instruction set, where there are no rings.
    .byte 0x0f, 0x3f
    hlt
