/* Calls to the host with evil arguments, from evil places, for ever. */
typedef unsigned long word;

long host_add(long a, long b);
long host_sum(const unsigned char *bytes, word count);
long host_text(const char *text);
long host_poke(word offset, word count);
long host_recurse(int depth);
long host_raise(int what);

int alive(void) { return 42; }
long add(long a, long b) { return host_add(a, b); }
long sum(word at, word count) { return host_sum((const unsigned char *)at, count); }
long text(word at) { return host_text((const char *)at); }
long poke(word at, word count) { return host_poke(at, count); }
long recurse(int depth) { return host_recurse(depth) + 1; }
long fail(int what) { return host_raise(what); }
long call_forever(void) { long x = 0; for (;;) x = host_add(x, 1); }
long spin(void) { volatile long x = 0; for (;;) x++; }
__attribute__((noinline)) static int spin_deeper(int n) { volatile int y = n; for (;;) { y++; if (y == -1) return y; } }
long spin_in_a_callee(void) { return spin_deeper(3) + 1; }
long count_to(long n) { volatile long x = 0; while (x < n) x++; return x; }

__attribute__((naked)) long call_import_number(word index) {
  __asm__("movl %edi, %r11d\n jmp __tmebox_gate_hostcall");
}
#ifdef __tmebox_r15__
__attribute__((naked)) long call_host_from_stack_at(word at) {
  __asm__("movq %rdi, %rsp\n xorl %edi, %edi\n xorl %esi, %esi\n jmp host_add");
}
#endif
/* rsp may point at memory of ours that is not the stack: the host must neither mind nor be confused. */
#ifdef __tmebox_r15__
__attribute__((naked)) long call_host_from_heap_at(word at) {
  __asm__("movq %rsp, %rbx\n movq %rdi, %rsp\n movl $3, %edi\n movl $4, %esi\n callq host_add\n movq %rbx, %rsp\n ret");
}
__attribute__((naked)) long return_from_host_to(word target) {
  __asm__("pushq %rdi\n movl $1, %edi\n movl $2, %esi\n jmp host_add");
}
#endif
static unsigned char room[65536];
word where_is_room_end(void) { return (word)(room + sizeof room); }
