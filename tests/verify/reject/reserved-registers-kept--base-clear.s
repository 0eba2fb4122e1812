# No base.
# base: r15
    xorl %r15d, %r15d
    hlt
