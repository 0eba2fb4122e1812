# 32 bits of rsp are written.
# base: twin
    .globl f
f: movl %edi, %esp
    retq
