# enter writes rsp and rbp, and reads a chain of frames.
    enter $16, $0
    hlt
