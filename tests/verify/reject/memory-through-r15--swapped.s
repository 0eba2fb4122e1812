# The base must be r15, so that there is one spelling.
# base: r15
    movl (%r14,%r15,1), %ecx
    hlt
