# 67 without a memory operand.
.byte 0x67, 0x89, 0xc8
    hlt
