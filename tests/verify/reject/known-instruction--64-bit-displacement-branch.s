# An opcode that is invalid in 64-bit mode: the bytes after it are no text.
.byte 0x9a, 0, 0, 0, 0, 0, 0
    hlt
