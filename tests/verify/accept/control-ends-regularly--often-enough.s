# address: 0x50000000
    .fill 262143, 1, 0x90
    hlt
    .fill 262143, 1, 0x90
    hlt
