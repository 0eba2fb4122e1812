# r15 is the program's.
    movl %edi, %edi
    leaq (%r15,%rdi), %rdi
    rep stosb
    hlt
