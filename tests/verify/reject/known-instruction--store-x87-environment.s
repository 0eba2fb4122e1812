# fnstenv reveals the address of the last x87 instruction and operand, maybe the host's.
    fnstenv 8(%rsp)
    hlt
