# A return as pop and jump, without a check.
    popq %rcx
    jmpq *%rcx
