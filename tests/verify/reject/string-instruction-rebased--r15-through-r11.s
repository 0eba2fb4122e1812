# Any base, in a register that the program writes.
# base: r15
    movl %edi, %edi
    leaq (%r11,%rdi), %rdi
    rep stosb
    hlt
