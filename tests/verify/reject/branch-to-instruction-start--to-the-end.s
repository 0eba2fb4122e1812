# The byte behind the text.
    jne 1f
    hlt
1:
