# An exchange writes its second operand, too.
    movq %gs:BASE, %r11
    xchgq %rax, %r11
    movl 8(%r11), %eax
    hlt
