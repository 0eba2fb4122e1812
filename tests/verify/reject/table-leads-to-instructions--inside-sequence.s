# The entry skips a check.
# table-entries: 2
# isolation: data
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
1:  movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 3f
2:  movq %r11, (%rsp)
    ret
3:  hlt
table:
    .quad 1b, 2b
