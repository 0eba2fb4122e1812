# It moves rsp by up to 64 KiB more than a return.
depth_0:
    retq $16
