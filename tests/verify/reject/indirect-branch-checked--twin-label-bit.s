# A test for any of several bits: labels of other depths have them, too.
# base: twin
    .globl f
f: movl %edi, %eax
    testb $LABEL, M(%rax)
    je 9f
    jmp *%rax
9:  hlt
