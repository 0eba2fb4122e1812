# A 32-bit absolute address: in the window with gs, but no assembler emits it.
.byte 0x65, 0x67, 0xa0, 0, 0, 0, 0
    hlt
