# A conditional move to a 32-bit register clears the upper half even if the condition fails.
# isolation: data
    cmovel %eax, %esp
    hlt
