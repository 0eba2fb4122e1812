# In 64-bit mode ds is ignored, and whether it cancels gs is a matter of the CPU.
.byte 0x65, 0x3e, 0x67, 0x8b, 0x00
    hlt
