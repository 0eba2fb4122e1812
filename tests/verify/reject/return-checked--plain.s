# The return address may be anything by now.
# base: r15
    retq
    hlt
