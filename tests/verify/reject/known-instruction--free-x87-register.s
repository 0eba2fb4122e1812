# ffree changes tags, so that what is on the x87 stack is no longer known.
    ffree %st(1)
    hlt
