# Counted loops obey too.
1:
    movl $0xc3050f, %eax
    loop 1b+2
    hlt
