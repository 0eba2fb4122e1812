# `enter` writes as often as it is told.
# base: twin
    .globl f
f: enter $8, $0
    hlt
