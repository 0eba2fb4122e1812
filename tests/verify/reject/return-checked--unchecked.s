# Truncation alone is no check.
# base: r15
    movl (%rsp), %r11d
    movq %r11, (%rsp)
    retq
9:
    hlt
