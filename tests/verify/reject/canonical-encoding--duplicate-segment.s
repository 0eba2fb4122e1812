# The last of several segment prefixes wins, says the manual.
.byte 0x65, 0x65, 0x67, 0x8b, 0x00
    hlt
