# gs holds another base than r15, or none.
# base: r15
    movl %gs:BASE, %ecx
    hlt
