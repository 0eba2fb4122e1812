# CPUs disagree whether a ModRM byte follows 0f ff, so decoders read what comes next differently.
    .byte 0x0f, 0xff, 0xc0
    hlt
