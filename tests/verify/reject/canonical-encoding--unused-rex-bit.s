# REX.X without an index register.
.byte 0x42, 0x89, 0xc8
    hlt
