# A mov and a call.
    movl %ecx, %eax
    callq *%rax
9:
    hlt
