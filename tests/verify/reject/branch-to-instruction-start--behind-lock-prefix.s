# Skipping lock makes it a race.
    jmp 1f+1
1:
    lock incl 8(%rsp)
    hlt
