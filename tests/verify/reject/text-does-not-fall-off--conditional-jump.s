# A conditional jump falls through.
1:
    jne 1b
