# 32 bits arrive, 8 are claimed.
    movl %eax, %ecx
    jmp 1f
1:
fact_rcx_8_1:
    movq %gs:BASE, %r11
    movl 0x70000000(%r11,%rcx,8), %eax
    hlt
