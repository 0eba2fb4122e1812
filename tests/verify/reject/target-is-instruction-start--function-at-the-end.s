# The byte behind the text.
    hlt
.globl after
after:
