# The same with arithmetic.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    addq (%r11,%rdx), %rsp
    hlt
