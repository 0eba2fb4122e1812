# The same through an SSE instruction with an MMX operand.
    cvtpi2ps %mm0, %xmm0
    hlt
