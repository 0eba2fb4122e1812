# r11 holds anything.
    jmpq *%r11
    hlt
