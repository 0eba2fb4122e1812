# A prefetch accesses nothing, architecturally; it shows what is mapped by its time.
    prefetcht0 (%rax)
    hlt
