# The same through an index register.
    movq %gs:0x1000(,%rcx,8), %rax
    hlt
