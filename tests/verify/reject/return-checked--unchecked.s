# Truncation alone is no check.
    movl (%rsp), %r11d
    movq %r11, (%rsp)
    retq
9:
    hlt
