# What multiplies or divides rax by a register only reads it: what is known of it stays, and rsp where it is.
    movq %gs:BASE, %r11
    movl %ecx, %esi
    mulb %sil
    movl 8(%r11,%rsi), %ecx
    mulw %si
    movl 8(%r11,%rsi), %ecx
    mull %esi
    movl 8(%r11,%rsi), %ecx
    mulq %rsi
    movl 8(%r11,%rsi), %ecx
    mulb %spl
    mulw %sp
    mull %esp
    mulq %rsp
    imulb %sil
    movl 8(%r11,%rsi), %ecx
    imulw %si
    movl 8(%r11,%rsi), %ecx
    imull %esi
    movl 8(%r11,%rsi), %ecx
    imulq %rsi
    movl 8(%r11,%rsi), %ecx
    imulb %spl
    imulw %sp
    imull %esp
    imulq %rsp
    divb %sil
    movl 8(%r11,%rsi), %ecx
    divw %si
    movl 8(%r11,%rsi), %ecx
    divl %esi
    movl 8(%r11,%rsi), %ecx
    divq %rsi
    movl 8(%r11,%rsi), %ecx
    divb %spl
    divw %sp
    divl %esp
    divq %rsp
    idivb %sil
    movl 8(%r11,%rsi), %ecx
    idivw %si
    movl 8(%r11,%rsi), %ecx
    idivl %esi
    movl 8(%r11,%rsi), %ecx
    idivq %rsi
    movl 8(%r11,%rsi), %ecx
    idivb %spl
    idivw %sp
    idivl %esp
    idivq %rsp
    hlt
