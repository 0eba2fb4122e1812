# Two 66 prefixes: harmless here, and a place where decoders have disagreed.
.byte 0x66, 0x66, 0x89, 0xc8
    hlt
