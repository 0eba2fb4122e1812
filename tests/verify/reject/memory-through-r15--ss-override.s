# A segment override on an access through r15.
# base: r15
    movl %ss:(%r15,%r14), %ecx
    hlt
