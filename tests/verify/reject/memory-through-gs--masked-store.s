# A masked store of the lanes that the attacker chooses.
    vmaskmovps %ymm0, %ymm1, (%rax)
    hlt
