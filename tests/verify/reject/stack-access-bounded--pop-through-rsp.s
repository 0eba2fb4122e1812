# pop computes the address after it moved rsp.
    popq 8(%rsp)
    hlt
