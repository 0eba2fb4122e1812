# The last instruction is a jump.
1:
    callq 1b
    jmp 1b
