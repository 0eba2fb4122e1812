# xlat reads through the 64-bit rbx and al: a host address without any written operand.
    xlatb
    hlt
