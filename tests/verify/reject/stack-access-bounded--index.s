# An index register reaches anywhere.
    movq 8(%rsp,%rax), %rcx
    hlt
