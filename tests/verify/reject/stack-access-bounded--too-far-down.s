# One byte more than STACK_REACH.
    movb %al, -REACH-1(%rsp)
    hlt
