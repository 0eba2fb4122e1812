# No jump has to read a table.
# table-entries: 2
    nop
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
