# A call through memory is no access that may stand there.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    callq *(%r11,%rdx)
    hlt
