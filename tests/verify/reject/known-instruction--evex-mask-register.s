# Nothing reads or clears mask registers.
    kmovw %k1, %eax
    hlt
