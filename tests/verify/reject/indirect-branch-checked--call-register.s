# rax holds anything.
    callq *%rax
    hlt
