# The first step writes another register.
    movl %eax, %edx
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    stosb
    hlt
