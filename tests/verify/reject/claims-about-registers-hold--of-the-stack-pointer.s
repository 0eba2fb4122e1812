# rsp has rules of its own.
    nop
fact_rsp_base_1:
    hlt
