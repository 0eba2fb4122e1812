# It may raise an exception instead; only plain vector moves are anchors.
# isolation: data
1:
    addq $REACH, %rsp
    divps (%rsp), %xmm0
    jmp 1b
    hlt
