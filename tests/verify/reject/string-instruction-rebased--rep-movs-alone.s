# rsi and rdi hold anything.
    rep movsq
    hlt
