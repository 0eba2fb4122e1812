# A rep that repeats nothing; on some stores and locks it begins a transaction.
.byte 0xf3, 0x89, 0xc8
    hlt
