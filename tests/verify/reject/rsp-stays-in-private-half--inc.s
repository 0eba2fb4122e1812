# Small steps, but no adjustment of the kind that is counted.
# isolation: data
    incq %rsp
    hlt
