# One byte more than STACK_REACH.
    movb REACH+1(%rsp), %al
    hlt
