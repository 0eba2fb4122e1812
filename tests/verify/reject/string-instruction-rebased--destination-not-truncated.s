# rdi keeps its upper half.
    movq %rdi, %rdi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    stosb
    hlt
