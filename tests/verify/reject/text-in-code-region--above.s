# In the target map.
# address: 0x80000000
    hlt
