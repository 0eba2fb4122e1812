# MPX instructions are no-operations on CPUs without it.
.byte 0xf3, 0x0f, 0x1b, 0x00
    hlt
