# A read of the target map outside a sequence.
# base: r15
    testb $R15_FUNCTION, M(%r11)
    hlt
