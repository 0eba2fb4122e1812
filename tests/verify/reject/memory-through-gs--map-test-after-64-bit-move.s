# The register's upper half is not cleared: the map is read anywhere.
    movq %rcx, %rax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rax
9:
    hlt
