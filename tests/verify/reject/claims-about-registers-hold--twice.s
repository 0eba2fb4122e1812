# What is said twice may contradict itself.
    movl %eax, %ecx
1:
fact_rcx_32_1:
fact_rcx_8_2:
    jmp 1b
