# rsp from memory, with the encoding that assemblers do not use.
# isolation: data
.byte 0x8f, 0xc4
    hlt
