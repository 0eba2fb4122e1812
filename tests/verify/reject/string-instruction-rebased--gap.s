# rdi changes between its check and its use.
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    addq %rax, %rdi
    stosb
    hlt
