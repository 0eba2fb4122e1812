# Up to 2 GiB below the window.
    movslq %ecx, %rdx
    movq %gs:BASE, %r11
    movq 8(%r11,%rdx), %rax
    hlt
