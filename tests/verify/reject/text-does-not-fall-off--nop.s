# What follows the text was never verified.
    nop
