# Even 16 bits reach 4 KiB beyond.
    btcw %cx, %gs:(%eax)
    hlt
