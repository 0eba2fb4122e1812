# The first address of the code region.
# address: 0x40000000
    hlt
