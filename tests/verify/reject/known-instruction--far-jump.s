# A far jump through memory loads cs.
    ljmpl *%gs:(%eax)
    hlt
