# The source is a host address.
# base: r15
    movl %edi, %edi
    movl %esi, %esi
    leaq (%r15,%rdi), %rdi
    rep movsb
    hlt
