# A label of depth 8 that is called, too: who jumps there would return to what it pushed.
    .globl f
f:  call label_8
    ret
label_8:
depth_8_label:
    ret
    .globl g
g:  push %rax
depth_8_g:
    movl %edi, %r11d
    cmpb $LABEL_8, M(%r11)
    jne 1f
    jmp *%r11
1:  hlt
