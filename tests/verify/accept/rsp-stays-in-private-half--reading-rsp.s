# Reading rsp is harmless: the window is no secret.
# isolation: data
    movq %rsp, %rax
    pushq %rsp
    cmpq %rsp, %rax
    movl %esp, %ecx
    hlt
