/* Reads and writes at addresses of the attacker's choice. */
#include <string.h>

typedef unsigned long word;
typedef float vector __attribute__((vector_size(16), aligned(1)));
typedef float aligned_vector __attribute__((vector_size(16)));

volatile unsigned char mine = 'M';
static unsigned char array[4096] = {1, 2, 3, 4, 5, 6, 7, 8};
static const char constant[] = "read-only";
char *volatile scratch;

int alive(void) { return 42; }

word where_is_mine(void) { return (word)&mine; }
word where_is_array(void) { return (word)array; }
word where_is_constant(void) { return (word)constant; }
word where_is_code(void) { return (word)&alive; }

unsigned read8(word address) { return *(volatile unsigned char *)address; }
word read64(word address) { return *(volatile word *)address; }
void write8(word address, unsigned value) { *(volatile unsigned char *)address = (unsigned char)value; }
void write64(word address, word value) { *(volatile word *)address = value; }

/* All sixteen bytes, though one would do. */
float read_vector(word address) { vector all = *(vector *)address; __asm__ volatile("" : "+x"(all)); return all[3]; }
float read_aligned_vector(word address) {
  aligned_vector all = *(aligned_vector *)address;
  __asm__ volatile("" : "+x"(all));
  return all[3];
}
void write_vector(word address) { *(vector *)address = (vector){1, 2, 3, 4}; }

/* base + index * scale wraps in different ways than base + displacement */
unsigned read_indexed(word base, long index) { return ((volatile unsigned char *)base)[index]; }
word read_scaled(word base, long index) { return ((volatile word *)base)[index]; }
unsigned read_displaced(word base) { return ((volatile unsigned char *)base)[0x7fffff00]; }
unsigned read_of_array(long index) { return ((volatile unsigned char *)array)[index]; }
void write_of_array(long index) { ((volatile unsigned char *)array)[index] = 0xee; }

void exchange(word address) { __atomic_exchange_n((word *)address, 1, __ATOMIC_SEQ_CST); }
void increment_atomically(word address) { __atomic_fetch_add((word *)address, 1, __ATOMIC_SEQ_CST); }
void exchange_pair(word address) {
  __asm__ volatile("lock cmpxchg16b (%0)" : : "r"(address), "a"(0L), "d"(0L), "b"(1L), "c"(1L) : "memory", "cc");
}

void copy(word to, word from, word size_bytes) { memcpy((void *)to, (const void *)from, size_bytes); }
void move(word to, word from, word size_bytes) { memmove((void *)to, (const void *)from, size_bytes); }
void fill(word to, word size_bytes) { memset((void *)to, 0xee, size_bytes); }
word length(word of) { return strlen((const char *)of); }

void rep_store(word to, word count) {
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0xee) : "memory");
}
void rep_store_words(word to, word count) {
  __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(-1L) : "memory");
}
void rep_copy(word to, word from, word count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

/* Through rsp: the one register that holds a host address. */
__attribute__((naked)) word read_far_above_the_stack(void) {
  __asm__("movq 0x7ffffff8(%rsp), %rax\n ret");
}
__attribute__((naked)) word read_far_below_the_stack(void) {
  __asm__("movq -0x80000000(%rsp), %rax\n ret");
}
__attribute__((naked)) word read_indexed_by_the_stack(word index) {
  __asm__("movq (%rsp,%rdi,8), %rax\n ret");
}
__attribute__((naked)) word stack_pointer_as_number(void) { __asm__("movq %rsp, %rax\n ret"); }
