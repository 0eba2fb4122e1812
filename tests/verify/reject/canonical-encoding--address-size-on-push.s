# 67 before a push: ignored, or esp.
.byte 0x67, 0x50
    hlt
