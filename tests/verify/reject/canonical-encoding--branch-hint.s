# 2e and 3e before a conditional jump: ignored, or a hint.
.byte 0x3e, 0x74, 0x00
    hlt
