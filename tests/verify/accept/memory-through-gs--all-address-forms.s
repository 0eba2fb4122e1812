# Every form of address that stays in the window.
# isolation: data
    movl %gs:(%eax), %ecx
    movl %gs:-8(%ebp), %ecx
    movl %gs:-8(%ebp,%r12d,8), %ecx
    movl %gs:(%esp), %ecx
    movl %gs:4(%esp,%eax,2), %ecx
    movl %gs:0x7fffffff(%r13d), %ecx
    movl %gs:(,%r12d,8), %ecx
    movl %gs:0x7fffffff, %ecx
    movl %gs:0, %ecx
    movl %gs:0x1000(%rip), %ecx
    movl $1, %gs:-0x1000(%rip)
    pushq %gs:(%eax)
    popq %gs:8(%eax)
    leaq 0x7fffffff(%rax,%rcx,8), %rdx
    leaq -8(%rip), %rdx
    leal (%eax,%ecx), %edx
    hlt
