# scas reads through rdi; no sequence for it exists.
    repne scasb
    hlt
