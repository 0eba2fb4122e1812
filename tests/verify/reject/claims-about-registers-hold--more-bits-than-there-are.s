# 33 bits are no fact: as an offset they reach twice as far as the window.
    movl %eax, %ecx
fact_rcx_33_1:
    movq %gs:BASE, %r11
    movl 8(%r11,%rcx), %eax
    hlt
