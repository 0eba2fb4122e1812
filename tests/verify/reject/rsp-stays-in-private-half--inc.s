# Small steps, but no adjustment of the kind that is counted.
    incq %rsp
    hlt
