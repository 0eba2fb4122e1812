# 4 GiB higher, where a 32-bit view of the address looks right.
# address: 0x141000000
    hlt
