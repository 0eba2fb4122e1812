# A label, to which an exception would lead with a stack of any depth.
# base: twin
    .globl f
f:  retq
label_one: retq
