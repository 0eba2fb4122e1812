# leave loads rsp from rbp, which holds anything.
    leaveq
    hlt
