# A constant displacement may not be negative.
    movq %gs:BASE, %r11
    movl -8(%r11), %eax
    hlt
