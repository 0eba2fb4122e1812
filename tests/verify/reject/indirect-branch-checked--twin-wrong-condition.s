# The jump is taken unless the mark is right.
# base: twin
    .globl f
f: movl %edi, %eax
    cmpb $LABEL_8, M(%rax)
    je 9f
    jmp *%rax
9:  hlt
