# The address of the field, not what is in it.
    leaq BASE, %r11
    movl 8(%r11), %eax
    hlt
