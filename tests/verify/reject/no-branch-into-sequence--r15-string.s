# Past the truncation.
# base: r15
    movl %edi, %edi
1:
    leaq (%r15,%rdi), %rdi
    rep stosb
    jmp 1b
    hlt
