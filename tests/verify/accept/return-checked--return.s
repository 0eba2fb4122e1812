# A function that returns, and its caller.
.globl entry
entry:
    callq callee
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
callee:
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9b
    movq %r11, (%rsp)
    retq
