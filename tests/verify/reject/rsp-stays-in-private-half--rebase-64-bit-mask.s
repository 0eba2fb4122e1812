# A 64-bit btr does not clear the upper half... of an rsp that was not zero-extended.
    movq %rax, %rsp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    hlt
