# A label that is a function.
# base: twin
    .globl f
f:
label_one: retq
