# Beyond the guard on the other side.
    movl %ecx, %edx
    movq %gs:BASE, %r11
    movq -R15_REACH-1(%r11,%rdx), %rax
    hlt
