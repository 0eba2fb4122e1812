# address: 0x50000000
    .fill 262144, 1, 0x90
    hlt
