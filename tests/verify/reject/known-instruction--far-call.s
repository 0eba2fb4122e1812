# A far call through memory loads cs.
    lcalll *%gs:(%eax)
    hlt
