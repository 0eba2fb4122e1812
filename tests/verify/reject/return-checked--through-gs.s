# The word at esp in the window is not the word at rsp.
# base: r15
    movl %gs:(%esp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
