# Below the code region lies what the host mapped there.
# address: 0x3fff0000
    hlt
