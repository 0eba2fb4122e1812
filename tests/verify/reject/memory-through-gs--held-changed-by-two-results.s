# mul writes edx as well.
    movq %gs:BASE, %rdx
    mull %ecx
    movl 8(%rdx), %eax
    hlt
