# rbp is no better than other registers.
    movq 8(%rbp,%rdx), %rax
    hlt
