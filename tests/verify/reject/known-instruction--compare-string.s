# cmps reads through rsi and rdi; no sequence for it exists.
    cmpsb
    hlt
