# A branch to a gate with rsp unanchored.
# isolation: data
    subq $4096, %rsp
    jmp __tmebox_gate_hostcall
    hlt
