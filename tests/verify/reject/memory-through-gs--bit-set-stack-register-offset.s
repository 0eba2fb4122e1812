# The same from rsp.
    btsl %ecx, 8(%rsp)
    hlt
