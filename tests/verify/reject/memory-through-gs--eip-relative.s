# gs base plus eip: no assembler emits it and no rule needs it.
.byte 0x65, 0x67, 0x8b, 0x05, 0, 0, 0, 0
    hlt
