# movsxd without REX.W: vendors decode 16-bit forms differently.
.byte 0x63, 0xc1
    hlt
