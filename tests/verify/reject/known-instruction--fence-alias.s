# 0f ae f4 is mfence in one manual and reserved in another.
.byte 0x0f, 0xae, 0xf4
    hlt
