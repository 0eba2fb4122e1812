# Reveals when other threads write a line.
    monitorx
    hlt
