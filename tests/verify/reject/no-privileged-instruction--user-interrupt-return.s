# uiret loads rip, flags and rsp from the stack.
.byte 0xf3, 0x0f, 0x01, 0xec
    hlt
