# rbp is no stack pointer here: it holds anything.
    movq -8(%rbp), %rcx
    hlt
