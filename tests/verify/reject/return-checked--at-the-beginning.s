# The text begins in the middle of a sequence.
    movq %r11, (%rsp)
    retq
    hlt
