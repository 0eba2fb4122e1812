# A prefix that adds a second base.
# base: r15
    movl %gs:(%r15,%r14), %ecx
    hlt
