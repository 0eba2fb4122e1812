# A REX prefix that means nothing.
# base: twin
    .globl f
f: .byte 0x48
    retq
