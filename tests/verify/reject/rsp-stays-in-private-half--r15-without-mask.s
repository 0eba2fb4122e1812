# The base added to what is not masked.
# base: r15
    movl %ebp, %esp
    addq RSP_START(%r15), %rsp
    hlt
