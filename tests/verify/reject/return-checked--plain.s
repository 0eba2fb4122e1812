# The return address may be anything by now.
    retq
    hlt
