# A bit offset reaches far beyond the operand.
# base: r15
    btsq %rax, (%r15,%r14)
    hlt
