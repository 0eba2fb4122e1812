# A jump to labels of one depth from another one.
# base: twin
    .globl f
f: movl %edi, %eax
    cmpb $LABEL_8, M(%rax)
    jne 9f
    jmp *%rax
9:  hlt
