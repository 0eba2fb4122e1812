# An indirect call reads its operand.
    callq *(%rax)
    hlt
