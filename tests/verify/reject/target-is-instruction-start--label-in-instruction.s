# A claimed label inside an immediate.
    movl $0xc3050f, %eax
.set label_inside, .-4
    hlt
