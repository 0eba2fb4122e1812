# REX.W of pextrb means nothing: no assembler sets it, and decoders tell it as another register.
.byte 0x66, 0x48, 0x0f, 0x3a, 0x14, 0xc0, 0x01
    hlt
