# A claim below its beginning is none.
# base: twin
    .globl f
f: jmp 1f
1:  hlt
depth_0_a:
depth_8_b:
    hlt
