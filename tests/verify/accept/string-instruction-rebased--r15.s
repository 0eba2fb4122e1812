# stos and movs with the base in r15.
# base: r15
    movl %edi, %edi
    leaq (%r15,%rdi), %rdi
    rep stosq
    movl %edi, %edi
    movl %esi, %esi
    leaq (%r15,%rdi), %rdi
    leaq (%r15,%rsi), %rsi
    rep movsb
    hlt
