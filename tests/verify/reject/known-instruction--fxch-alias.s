# dd c8+i is an undocumented fxch.
.byte 0xdd, 0xc9
    hlt
