# A rep that repeats nothing, once used as padding.
depth_0:
.byte 0xf3, 0xc3
