# base: twin
# Jumps to computed labels, each of the depth that its check asks for.
    .globl f
f:
    pushq %rbx
depth_8:
    movl %gs:(%edi), %eax
    cmpb $LABEL_8, M(%rax)
    jne 9f
    jmp *%rax
label_one:
    popq %rbx
    retq
label_two:
    movl %gs:(%edi), %eax
    cmpb $LABEL_8, M(%rax)
    jne 9f
    jmp *%rax
9:
    hlt
