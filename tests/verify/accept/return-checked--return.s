# A function that returns, and its caller.
# base: r15
.globl entry
entry:
    callq callee
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
callee:
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9b
    movq %r11, (%rsp)
    retq
