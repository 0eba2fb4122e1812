# A rebase makes safe what is in rsp, not where it came from.
    movl (%r11,%rdx), %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
    hlt
