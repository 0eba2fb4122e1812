# The word on the stack may be anything.
    jmpq *8(%rsp)
    hlt
