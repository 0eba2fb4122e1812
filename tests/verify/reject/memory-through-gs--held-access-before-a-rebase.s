# A rebase makes safe what is in rsp, not where it came from.
    movl (%r11,%rdx), %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    hlt
