# Raises a debug exception.
.byte 0xf1
    hlt
