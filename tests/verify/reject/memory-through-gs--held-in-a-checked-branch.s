# The check's own register held the base before.
depth_0:
    movq %gs:BASE, %r11
    movl %eax, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    movl 8(%r11), %eax
9:
    hlt
