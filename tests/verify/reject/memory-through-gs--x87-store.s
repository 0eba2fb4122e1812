# x87 operands obey too.
    fstpt (%rax)
    hlt
