# One way to the access leads past the base.
    testl %eax, %eax
    je 1f
    movq %gs:BASE, %r11
1:
    movl 8(%r11), %eax
    hlt
