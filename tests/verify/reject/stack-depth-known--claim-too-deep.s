# The same by a claim.
# base: twin
    .globl f
f: jmp 1f
depth_71303176:
1:  hlt
