# Claimed targets: functions, labels, and both at one place.
# isolation: data
.globl entry
entry:
label_same:
    movl %eax, %ecx
label_inner:
    jmp entry
.globl last
last:
    hlt
