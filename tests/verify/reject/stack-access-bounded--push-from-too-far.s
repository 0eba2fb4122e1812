# push reads its operand.
    pushq REACH+8(%rsp)
    hlt
