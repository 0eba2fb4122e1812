# Only the destination was rebased: reads the host.
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    movsb
    hlt
