# Sandboxed functions for the tests of the native core, written by hand in the sequences of docs/design.md
# section 4. `MAP` and the gate addresses are defined by the linker command in machine.py.
#
# Every global symbol can be called; every `site_*` symbol is the instruction after a call.

    .set CONTROL_WINDOW_BASE, CONTROL

    .macro checked_return
    movl (%rsp), %r11d
    testb $8, MAP(%r11)
    je failed
    movq %r11, (%rsp)
    ret
    .endm

    .macro sandbox_call target
    call \target
    .globl site_\@
site_\@:
    .endm

    .macro host_call index
    sandbox_call stub_\index
    .endm

    .text
failed:
    hlt

    .irp index, 0,1,2,3,4
stub_\index:
    movl $\index, %r11d
    jmp gate_hostcall
    .endr

# -- numbers ------------------------------------------------------------------------------------------
    .globl add
add:                                    # long add(long, long)
    leaq (%rdi,%rsi), %rax
    checked_return

    .globl first
first:                                  # T first(T)
    movq %rdi, %rax
    checked_return

    .globl add_double
add_double:                             # double add_double(double, double)
    addsd %xmm1, %xmm0
    checked_return

    .globl add_float
add_float:                              # float add_float(float, float)
    addss %xmm1, %xmm0
    checked_return

    .globl weigh
weigh:                                  # long weigh(long × 10): sum of i × argument i
    leaq (%rdi,%rsi,2), %rax
    imulq $3, %rdx, %rdx
    addq %rdx, %rax
    leaq (%rax,%rcx,4), %rax
    imulq $5, %r8, %r8
    addq %r8, %rax
    imulq $6, %r9, %r9
    addq %r9, %rax
    imulq $7, 8(%rsp), %rdx
    addq %rdx, %rax
    imulq $8, 16(%rsp), %rdx
    addq %rdx, %rax
    imulq $9, 24(%rsp), %rdx
    addq %rdx, %rax
    imulq $10, 32(%rsp), %rdx
    addq %rdx, %rax
    checked_return

    .globl tenth_double
tenth_double:                           # double tenth_double(double × 10)
    movsd 16(%rsp), %xmm0
    checked_return

    .globl pair
pair:                                   # struct { long, long } in rax, rdx; doubles in xmm0, xmm1
    movq %rdi, %rax
    movq %rsi, %rdx
    checked_return

    .globl vector_count
vector_count:                           # what al said
    movzbl %al, %eax
    checked_return

    .globl stack_alignment
stack_alignment:                        # rsp % 16 at entry
    movl %esp, %eax
    andl $15, %eax
    checked_return

    .globl stack_offset
stack_offset:
    movl %esp, %eax
    checked_return

# -- memory -------------------------------------------------------------------------------------------
    .globl load
load:                                   # unsigned load(void *)
    movl %gs:(%edi), %eax
    checked_return

    .globl store
store:                                  # void store(void *, unsigned)
    movl %esi, %gs:(%edi)
    checked_return

    .globl window_base
window_base:
    movq %gs:CONTROL_WINDOW_BASE, %rax
    checked_return

# -- traps --------------------------------------------------------------------------------------------
    .globl undefined
undefined:
    ud2

    .globl halt
halt:
    hlt

    .globl breakpoint
breakpoint:
    int3
    hlt

    .globl divide
divide:                                 # int divide(int, int)
    movl %edi, %eax
    cltd
    idivl %esi
    checked_return

    .globl misaligned
misaligned:
    movaps %xmm0, -16(%rsp)
    checked_return

    .globl float_exception
float_exception:                        # 1.0 / 0.0 with the exception unmasked
    movl $0x1d80, -24(%rsp)
    ldmxcsr -24(%rsp)
    movl $1, %eax
    cvtsi2sdl %eax, %xmm0
    xorps %xmm1, %xmm1
    divsd %xmm1, %xmm0
    checked_return

    .globl recurse
recurse:
    pushq %rax
    sandbox_call recurse
    popq %rcx
    checked_return

    .globl return_to
return_to:                              # void return_to(address): a forged return address
    movq %rdi, (%rsp)
    checked_return

    .globl far_above
far_above:                              # uses the pool half through the stack pointer's reach
    movl $0x7fffffff, %eax
    movl %gs:(%eax), %eax
    checked_return

    .globl marked_fault
marked_fault:                           # every register holds a number, then a null store
    movl $1, %eax
    movl $2, %ecx
    movl $3, %edx
    movl $4, %ebx
    movl $6, %ebp
    movl $7, %esi
    movl $0, %edi
    movl $9, %r8d
    movl $16, %r15d
    .globl marked_fault_at
marked_fault_at:
    movl %eax, %gs:(%edi)

# -- loops --------------------------------------------------------------------------------------------
    .globl count_up
count_up:                               # void count_up(void): one more at DATA, the page behind the control page
    incq %gs:CONTROL_WINDOW_BASE+4096
    checked_return

    .globl count_up_and_call
count_up_and_call:
    subq $8, %rsp
    incq %gs:CONTROL_WINDOW_BASE+4096
    host_call 0
    addq $8, %rsp
    checked_return

    .globl count_up_to_trap
count_up_to_trap:                       # the third time is one too many
    incq %gs:CONTROL_WINDOW_BASE+4096
    cmpq $3, %gs:CONTROL_WINDOW_BASE+4096
    je failed
    checked_return

    .globl spin
spin:
    jmp spin

    .globl count
count:                                  # long count(unsigned n): n steps of a loop that keeps much state
    xorl %eax, %eax
    movl $0x1234, %ebx
    movl $0x5678, %r12d
    movq %rbx, %xmm7
    movl %edi, %ecx
1:
    incl %eax
    cmpl $0x1234, %ebx
    jne 2f
    cmpl $0x5678, %r12d
    jne 2f
    movq %xmm7, %rdx
    cmpl $0x1234, %edx
    jne 2f
    decl %ecx
    jne 1b
2:
    checked_return

    .globl spin_flagged
spin_flagged:                           # spins until a word at the pointer is set
    cmpl $0, %gs:(%edi)
    je spin_flagged
    movl %gs:(%edi), %eax
    checked_return

    .globl spin_rebasing
spin_rebasing:                          # rsp is mostly in the middle of a rebase
    movl %esp, %esp
    andl %gs:CONTROL_WINDOW_BASE+56, %esp   # the mask and the start of where rsp stays
    addq %gs:CONTROL_WINDOW_BASE+64, %rsp
    jmp spin_rebasing

    .globl spin_in_guard
spin_in_guard:                          # rsp is where no stack is, as code would have it that will not be disturbed
    movl $0x3fffff00, %eax
    movl %eax, %esp
    andl %gs:CONTROL_WINDOW_BASE+56, %esp   # the mask and the start of where rsp stays
    addq %gs:CONTROL_WINDOW_BASE+64, %rsp
1:
    jmp 1b

    .globl spin_calling
spin_calling:                           # endless, nearly all of it in host calls
    pushq %rbx
    host_call 0
    popq %rbx
    jmp spin_calling

# -- host calls ---------------------------------------------------------------------------------------
    .irp index, 0,1,2,3,4
    .globl call_\index
call_\index:                            # passes its arguments on
    subq $8, %rsp
    host_call \index
    addq $8, %rsp
    checked_return
    .endr

    .globl call_then_spin
call_then_spin:
    subq $8, %rsp
    host_call 0
1:
    jmp 1b

    .globl pass_nine
pass_nine:                              # calls import 0 with 1 … 9 as arguments
    pushq %rbx
    pushq $9
    pushq $8
    pushq $7
    movl $1, %edi
    movl $2, %esi
    movl $3, %edx
    movl $4, %ecx
    movl $5, %r8d
    movl $6, %r9d
    host_call 0
    addq $24, %rsp
    popq %rbx
    checked_return

    .globl call_unknown
call_unknown:                           # an index that no import has
    movl $0xfffff, %r11d
    sandbox_call stub_unknown
    checked_return
stub_unknown:
    movl $0xfffff, %r11d
    jmp gate_hostcall

    .globl call_from_nowhere
call_from_nowhere:                      # a host call with the stack pointer moved down by the argument
    subq %rdi, %rsp
    movl $0, %r11d
    jmp gate_hostcall

    .globl call_without_return
call_without_return:                    # a host call whose return address is no return site
    movq $0x40000000, (%rsp)
    movl $0, %r11d
    jmp gate_hostcall

    .globl keep_registers
keep_registers:                         # callee-saved registers, MXCSR and red zone neighbours over a host call
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $24, %rsp
    movl $3, %ebx
    movl $5, %ebp
    movl $12, %r12d
    movl $13, %r13d
    movl $14, %r14d
    movl $15, %r15d
    movl $0x7f80, (%rsp)                # round towards zero
    ldmxcsr (%rsp)
    host_call 0
    stmxcsr (%rsp)
    movl (%rsp), %ecx
    xorl %eax, %eax
    cmpl $3, %ebx
    jne 1f
    cmpl $5, %ebp
    jne 1f
    cmpl $12, %r12d
    jne 1f
    cmpl $13, %r13d
    jne 1f
    cmpl $14, %r14d
    jne 1f
    cmpl $15, %r15d
    jne 1f
    andl $0xffc0, %ecx
    cmpl $0x7f80, %ecx
    jne 1f
    movl $1, %eax
1:
    addq $24, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    checked_return

# -- what can be seen ---------------------------------------------------------------------------------
# dump_*(void *to): 16 registers, then flags, MXCSR, x87 control word, then 16 × 64 bytes of vector registers.
    .macro dump_registers pointer
    movq %rax, %gs:0(\pointer)
    movq %rcx, %gs:8(\pointer)
    movq %rdx, %gs:16(\pointer)
    movq %rbx, %gs:24(\pointer)
    movq %rsp, %gs:32(\pointer)
    movq %rbp, %gs:40(\pointer)
    movq %rsi, %gs:48(\pointer)
    movq %rdi, %gs:56(\pointer)
    movq %r8, %gs:64(\pointer)
    movq %r9, %gs:72(\pointer)
    movq %r10, %gs:80(\pointer)
    movq %r11, %gs:88(\pointer)
    movq %r12, %gs:96(\pointer)
    movq %r13, %gs:104(\pointer)
    movq %r14, %gs:112(\pointer)
    movq %r15, %gs:120(\pointer)
    pushfq
    popq %rax
    movq %rax, %gs:128(\pointer)
    stmxcsr %gs:136(\pointer)
    .endm

    .macro dump_x87 pointer
    stmxcsr %gs:136(\pointer)
    fnstcw %gs:140(\pointer)
    fnstsw %gs:142(\pointer)
    .endm

    .macro dump_vectors store, prefix, pointer
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    \store %\prefix\n, %gs:192+64*\n(\pointer)
    .endr
    .endm

    .globl dump_sse
dump_sse:
    dump_registers %edi
    dump_vectors movups, xmm, %edi
    checked_return

    .globl dump_avx
dump_avx:
    dump_registers %edi
    dump_vectors vmovups, ymm, %edi
    vzeroupper
    checked_return

    .globl dump_avx512
dump_avx512:
    dump_registers %edi
    dump_vectors vmovups, zmm, %edi
    .irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vmovups %zmm\n, %gs:192+64*\n(%edi)
    .endr
    kmovw %k1, %eax
    movl %eax, %gs:144(%edi)
    kmovw %k7, %eax
    movl %eax, %gs:148(%edi)
    vzeroupper
    checked_return

    .globl dump_x87_state
dump_x87_state:
    dump_x87 %edi
    checked_return

    .globl push_x87
push_x87:                               # int push_x87(void): the status word after as many pushes as there is room
    .irp n, 0,1,2,3,4,5,6,7
    fldz
    .endr
    fnstsw %ax
    movzwl %ax, %eax
    checked_return

    .macro x87_signs                    # to eax: a bit for each register, what fxam says of its sign
    xorl %ecx, %ecx
    .irp n, 0,1,2,3,4,5,6,7
    fxam
    fnstsw %ax
    shrl $9, %eax
    andl $1, %eax
    leal (%eax,%ecx,2), %ecx
    fstps -24(%rsp)                     # pops, empty or not
    .endr
    movl %ecx, %eax
    .endm

    .globl signs_in_x87
signs_in_x87:                           # int signs_in_x87(void)
    x87_signs
    checked_return

    .globl signs_in_x87_after_host_call
signs_in_x87_after_host_call:           # int signs_in_x87_after_host_call(void)
    pushq %rbx
    host_call 0
    x87_signs
    popq %rbx
    checked_return

    .globl host_call_then_push_x87
host_call_then_push_x87:                # as push_x87, with a full stack left behind before and after
    pushq %rbx
    .irp n, 0,1,2,3,4,5,6,7
    fld1
    .endr
    host_call 0
    .irp n, 0,1,2,3,4,5,6,7
    fldz
    .endr
    fnstsw %ax
    movzwl %ax, %eax
    popq %rbx
    checked_return

    .globl host_call_with_x87_unmasked
host_call_with_x87_unmasked:            # int (void): the status word after a host call and x87 arithmetic
    pushq %rbx
    movw $0x0340, -24(%rsp)
    fldcw -24(%rsp)
    host_call 0
    fld1
    fstp %st(0)
    wait
    fnstsw %ax
    movzwl %ax, %eax
    popq %rbx
    checked_return

    .globl host_call_then_dump_x87_control
host_call_then_dump_x87_control:        # void (void *to)
    pushq %rbx
    movl %edi, %ebx
    host_call 0
    dump_x87 %ebx
    popq %rbx
    checked_return

    .globl host_call_then_dump_x87
host_call_then_dump_x87:                # void (void *to), with a control word of its own over the host call
    pushq %rbx
    movl %edi, %ebx
    movw $0x0c7f, -24(%rsp)
    fldcw -24(%rsp)
    host_call 0
    dump_x87 %ebx
    popq %rbx
    checked_return

    .globl host_call_then_dump_avx
host_call_then_dump_avx:                # the pointer is kept in rbx over the host call
    pushq %rbx
    movl %edi, %ebx
    host_call 0
    dump_registers %ebx
    dump_vectors vmovups, ymm, %ebx
    vzeroupper
    popq %rbx
    checked_return

    .globl host_call_then_dump_avx512
host_call_then_dump_avx512:
    pushq %rbx
    movl %edi, %ebx
    host_call 0
    .irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vmovups %zmm\n, %gs:192+64*\n(%ebx)
    .endr
    dump_vectors vmovups, zmm, %ebx
    vzeroupper
    popq %rbx
    checked_return

    .globl fill_avx512
fill_avx512:                            # every vector register full of ones
    vpternlogd $255, %zmm0, %zmm0, %zmm0
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vmovaps %zmm0, %zmm\n
    .endr
    kxnorw %k1, %k1, %k1
    kxnorw %k7, %k7, %k7
    checked_return

    .globl fill_avx
fill_avx:
    vpcmpeqd %xmm0, %xmm0, %xmm0
    vinsertf128 $1, %xmm0, %ymm0, %ymm0
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovaps %ymm0, %ymm\n
    .endr
    checked_return

# -- what is left behind ------------------------------------------------------------------------------
    .globl wreck_control
wreck_control:                          # direction flag, MXCSR, x87 control word and stack, callee-saved registers
    std
    movl $0xff80, -24(%rsp)
    ldmxcsr -24(%rsp)
    movw $0x0c7f, -24(%rsp)
    fldcw -24(%rsp)
    .irp n, 0,1,2,3,4,5,6,7
    fld1
    .endr
    movl $-1, %ebx
    movl $-1, %ebp
    movl $-1, %r12d
    movl $-1, %r13d
    movl $-1, %r14d
    movl $-1, %r15d
    checked_return

    .globl wreck_control_and_trap
wreck_control_and_trap:
    sandbox_call wreck_control
    ud2

    .globl wreck_control_and_call
wreck_control_and_call:
    pushq %rbx
    sandbox_call wreck_control
    cld
    fninit
    std
    movw $0x0c7f, -24(%rsp)
    fldcw -24(%rsp)
    host_call 0
    popq %rbx
    checked_return

    .globl leave_flags
leave_flags:                            # divides by zero in both units, exceptions masked
    movl $1, %eax
    cvtsi2sdl %eax, %xmm0
    xorps %xmm1, %xmm1
    divsd %xmm1, %xmm0
    fld1
    fldz
    fdivrp %st, %st(1)
    fstp %st(0)
    checked_return

    .globl leave_exception_pending
leave_exception_pending:                # an unmasked x87 exception that the next waiting instruction would raise
    movw $0x0370, -24(%rsp)
    fldcw -24(%rsp)
    fld1
    fldz
    fdivrp %st, %st(1)
    checked_return
