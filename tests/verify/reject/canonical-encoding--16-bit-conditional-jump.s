# With 66, AMD takes 16 bits of displacement and of rip, and Intel 32.
# base: twin
    .globl f
f: .byte 0x66, 0x0f, 0x84, 0, 0, 0, 0
    retq
