# An access through gs at esp proves nothing about rsp's upper half.
# isolation: data
1:
    subq $4096, %rsp
    movq %gs:(%esp), %rax
    jmp 1b
    hlt
