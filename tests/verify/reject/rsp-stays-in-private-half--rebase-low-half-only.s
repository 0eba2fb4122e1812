# The first step writes 16 bits: the upper half of rsp stays.
    movw %ax, %sp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    hlt
