# Data between instructions that is no instruction.
    jmp 1f
.byte 0x06, 0x0e, 0x16
1:
    hlt
