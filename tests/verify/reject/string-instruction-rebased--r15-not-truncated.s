# 64 bits added to the base.
# base: r15
    leaq (%r15,%rdi), %rdi
    rep stosb
    hlt
