# Nothing says what is in r11 and rdx.
    movq 8(%r11,%rdx), %rax
    hlt
