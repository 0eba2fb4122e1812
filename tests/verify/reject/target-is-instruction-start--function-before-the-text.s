# Another module's text.
    hlt
1:
.globl before
.set before, 1b-2
