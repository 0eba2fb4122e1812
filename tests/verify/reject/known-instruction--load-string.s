# lods reads through rsi; no sequence for it exists.
    lodsq
    hlt
