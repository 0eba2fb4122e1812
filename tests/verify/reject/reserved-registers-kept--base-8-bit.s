# Another base.
# base: r15
    movb $1, %r15b
    hlt
