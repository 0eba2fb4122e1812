# A push has 64 bits without it.
# base: twin
    .globl f
f: .byte 0x48, 0x50
    popq %rax
    retq
