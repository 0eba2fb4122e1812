# The base is in a register that the sequence did not load.
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r10,%rdi), %rdi
    stosb
    hlt
