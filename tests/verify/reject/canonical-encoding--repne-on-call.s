# f2 was the MPX prefix.
.byte 0xf2, 0xe8, 0, 0, 0, 0
    hlt
