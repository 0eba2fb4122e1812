# Its negation has 33 bits.
# base: twin
    .globl f
f: addq $-0x80000000, %rsp
    retq
