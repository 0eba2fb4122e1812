# It misaligns rsp by 2 and is never emitted: no table names it.
    pushw %ax
    hlt
