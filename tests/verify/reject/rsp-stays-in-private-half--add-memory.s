# The last step of a rebase without the steps before it.
# isolation: data
    addq %gs:BASE, %rsp
    hlt
