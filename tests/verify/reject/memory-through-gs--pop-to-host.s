# pop writes its operand.
    popq (%rax)
    hlt
