# With a control stack there are no return sites to go to.
# base: twin
    .globl f
f: movl %edi, %eax
    testb $RETURN, M(%rax)
    je 9f
    jmp *%rax
9:  hlt
