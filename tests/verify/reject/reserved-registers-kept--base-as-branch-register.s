# Another base, in a checked branch.
# base: r15
    movl %eax, %r15d
    testb $R15_FUNCTION, M(%r15)
    je 9f
    callq *%r15
9:
    hlt
