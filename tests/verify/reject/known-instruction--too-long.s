# An instruction of 16 bytes always faults; what follows its prefixes would be read as another.
.fill 10, 1, 0x66
.byte 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
    hlt
