# f6 /1 is test on every CPU and in no manual.
.byte 0xf6, 0xc8, 0x01
    hlt
