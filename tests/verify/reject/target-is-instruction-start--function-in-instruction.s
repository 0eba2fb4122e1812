# A claimed function inside an immediate.
    movl $0xc3050f, %eax
.globl inside
.set inside, .-4
    hlt
