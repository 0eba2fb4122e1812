# An abort jumps to a target and undoes stores after they were seen; its fallback is no checked
# branch.
    xbegin 1f
1:
    hlt
