# 8 bits of the base are the sandbox's.
    movq %gs:BASE, %r11
    movb %al, %r11b
    movl 8(%r11), %eax
    hlt
