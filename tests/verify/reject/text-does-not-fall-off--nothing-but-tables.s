# There is no instruction that they could lead to.
# table-entries: 2
table:
    .quad table, 0
