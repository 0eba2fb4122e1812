# Calls obey too.
    callq 1f+2
1:
    movl $0xc3050f, %eax
    hlt
