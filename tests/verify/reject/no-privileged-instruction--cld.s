# Denied with std: nothing may ever have to clear the direction flag.
    cld
    hlt
