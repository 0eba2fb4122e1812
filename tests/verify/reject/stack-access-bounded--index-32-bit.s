# r12d as an index, with rsp as base.
    movq (%rsp,%r12,8), %rcx
    hlt
