# The jump through the spill slot without what precedes it.
    movq SPILL_R11(%rsp), %r11
    jmpq *SPILL_TARGET(%rsp)
    hlt
