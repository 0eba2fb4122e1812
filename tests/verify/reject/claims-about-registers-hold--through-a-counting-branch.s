# jumps on with rcx counted down: the branch itself writes it.
    movl $8, %ecx
1:
fact_rcx_32_1:
    movq %gs:BASE, %r11
    loop 1b
    hlt
