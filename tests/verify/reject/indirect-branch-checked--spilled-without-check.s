# The jump through the spill slot without what precedes it.
    movq SPILL_REGISTER(%rsp), %r11
    jmpq *SPILL_TARGET(%rsp)
    hlt
