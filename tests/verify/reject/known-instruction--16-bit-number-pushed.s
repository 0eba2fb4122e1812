# It moves rsp by two bytes.
# base: twin
    .globl f
f: .byte 0x66, 0x68, 1, 0
    addq $2, %rsp
    retq
