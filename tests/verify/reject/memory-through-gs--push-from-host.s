# push reads its operand.
    pushq (%rax)
    hlt
