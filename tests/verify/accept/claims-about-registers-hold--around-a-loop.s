# What holds before the loop and at its end holds at its beginning.
    movq %gs:BASE, %r11
    xorl %ecx, %ecx
1:
fact_r11_base_1:
fact_rcx_32_1:
    addl 8(%r11,%rcx), %eax
    addl $4, %ecx
    cmpl %edx, %ecx
    jne 1b
    hlt
# Whatever comes from somewhere else brings it along.
    movq %gs:BASE, %rdi
    movzbl %al, %eax
    je 2f
    movq %gs:BASE, %rdi
    movzwl %ax, %eax
    jmp 2f
    .p2align 4, 0xf4
2:
fact_rax_16_2:
fact_rdi_base_2:
    movl (%rdi,%rax,8), %eax
    hlt
# A claim may say less than holds, and of what nobody asks.
    movzbl %al, %eax
    movl %eax, %ecx
fact_rax_32_3:
fact_rcx_32_3:
    hlt
# Padding behind a jump leads nowhere.
    movq %gs:BASE, %r11
    jmp 4f
    nopw %cs:(%rax,%rax)
4:
fact_r11_base_4:
    movl 8(%r11), %eax
    hlt
