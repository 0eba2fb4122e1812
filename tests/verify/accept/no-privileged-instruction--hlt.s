# hlt needs privilege, and that is its use here: it always faults.
    hlt
