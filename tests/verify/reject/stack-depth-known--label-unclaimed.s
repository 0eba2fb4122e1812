# A label whose depth nobody knows.
# base: twin
    .globl f
f: jmp 9f
label_one: hlt
9:  hlt
