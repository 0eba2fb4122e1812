# A label of a depth that no jump can ask for: only the core leads there, for an exception.
# base: twin
    .globl f
f: jmp 9f
depth_16:
label_one: addq $16, %rsp
    retq
9:  hlt
