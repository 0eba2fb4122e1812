# A label is no function.
# base: twin
    .globl f
f: pushq %rax
    movl %edi, %eax
    cmpb $LABEL_8, M(%rax)
    jne 9f
    call *%rax
    popq %rax
    retq
9:  hlt
