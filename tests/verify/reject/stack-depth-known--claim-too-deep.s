# The same by a claim.
# base: twin
    .globl f
f: jmp 1f
depth_1048576:
1:  hlt
