# gs with an absolute address and 67: zero-extended instead of sign-extended.
.byte 0x65, 0x67, 0x8b, 0x04, 0x25, 0, 0, 0, 0x80
    hlt
