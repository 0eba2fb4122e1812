# A conditional first step.
    cmovel %eax, %esp
    btrl $31, %esp
    addq %gs:BASE, %rsp
    hlt
