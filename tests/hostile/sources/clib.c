/* A whole C library at the attacker's service. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The compiler may assume that its own malloc succeeds and leave it out; it knows nothing about this one. */
static void *(*volatile allocate)(size_t) = malloc;
static void *(*volatile fill)(void *, int, size_t) = memset;

static int attempt(long result) { return result < 0 ? errno : 0; }

static int bomb(void) {
  size_t total = 0;
  for (;;) {
    char *block = allocate(1 << 20);
    if (!block) { printf("stopped after %zu MiB\n", total); return 0; }
    fill(block, 1, 1 << 20);
    total++;
  }
}
static int blind_bomb(void) { for (;;) fill(allocate(1 << 20), 1, 1 << 20); }
static int small_bomb(void) { size_t n = 0; while (allocate(24)) n++; return n > 100000 ? 0 : 1; }
static int impossible_sizes(void) {
  volatile size_t sizes[] = {(size_t)-1, (size_t)-4096, (size_t)1 << 62, (size_t)1 << 32, ((size_t)1 << 32) - 1, (size_t)1 << 31};
  int granted = 0;
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) granted += allocate(sizes[i]) != NULL;
  void *(*volatile zeroed)(size_t, size_t) = calloc;
  granted += zeroed((size_t)1 << 33, (size_t)1 << 33) != NULL;
  void *(*volatile resized)(void *, size_t) = realloc;
  granted += resized(allocate(10), (size_t)-100) != NULL;
  return granted;
}

static int processes(void) {
  int refused = 0;
  refused += fork() < 0;
  refused += vfork() < 0;
  refused += execl("/bin/sh", "sh", "-c", "touch /tmp/tmebox-was-here", (char *)0) < 0;
  refused += system("true") != 0;
  refused += popen("id", "r") == NULL;
  refused += kill(2, 9) < 0;
  refused += syscall(SYS_ptrace, 0, 0, 0, 0) < 0;
  return refused;
}

static int open_path(const char *path) {
  int fd = open(path, O_RDONLY);
  printf("%s\n", fd < 0 ? strerror(errno) : "opened");
  return fd < 0 ? 0 : 1;
}
static int list_and_write(const char *path) {
  int done = 0;
  done += opendir(path) != NULL;
  done += open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666) >= 0;
  done += mkdir(path, 0777) == 0;
  done += symlink("/etc/passwd", path) == 0;
  done += rename("/box/inside", path) == 0;
  done += link("/etc/passwd", path) == 0;
  done += truncate(path, 0) == 0;
  done += chmod(path, 0777) == 0;
  done += unlink(path) == 0;
  return done;
}

/* Every system call number with arguments that were never meant for it. */
static int all_system_calls(void) {
  static const long evil[] = {0, -1, 1, 0x7fffffff, 0x7ffe0000, 0xffffffff, 4096, (long)0x8000000000000000};
  const int kinds = sizeof evil / sizeof *evil;
  for (long number = 0; number < 600; number++) {
    if (number == SYS_exit || number == SYS_exit_group) continue;
    if (number == SYS_tkill || number == SYS_tgkill || number == SYS_kill) continue; /* abort() is tested by itself */
    if (number == SYS_nanosleep || number == SYS_clock_nanosleep || number == SYS_pause) continue;
    if (number == SYS_munmap || number == SYS_mmap || number == SYS_mremap || number == SYS_madvise) continue;
    if (number == SYS_close || number == SYS_dup2 || number == SYS_dup3) continue; /* would close our own stdout */
    /* Answered inside the sandbox, which may read and write what it likes of its own, or wait for a signal. */
    if (number == SYS_futex || number == SYS_getitimer || number == SYS_setitimer || number == SYS_alarm) continue;
    if (number == SYS_rt_sigsuspend || number == SYS_rt_sigtimedwait || number == SYS_sigaltstack) continue;
    for (int k = 0; k < kinds; k++)
      syscall(number, evil[k], evil[(k + 1) % kinds], evil[(k + 3) % kinds], evil[(k + 5) % kinds], 0L, 0L);
  }
  printf("survived\n");
  return 0;
}
static int evil_pointers(void) {
  int refused = 0;
  errno = 0;
  refused += write(1, (void *)0, 10) == -1 && errno == EFAULT;
  refused += write(1, (void *)0x7ffe0000, 10) == -1 && errno == EFAULT;
  refused += write(1, (void *)0xfffffffffffff000, 4096) == -1 && errno == EFAULT;
  refused += write(2, (void *)&refused, (size_t)1 << 40) < (long)1 << 31; /* what there is, or nothing */
  refused += read(0, (void *)0x41000000, 10) == -1 && errno == EFAULT;
  refused += read(0, (void *)"constant", 8) == -1 && errno == EFAULT;
  refused += open((char *)0x10, O_RDONLY) == -1 && errno == EFAULT;
  refused += getcwd((char *)0x7fffffffffff, 100) == NULL;
  return refused;
}

static int handler_runs;
static void handler(int number) { handler_runs += number; }
static int signals(void) {
  signal(SIGSEGV, handler);
  signal(SIGINT, SIG_IGN);
  struct sigaction action = {.sa_handler = handler};
  sigaction(SIGFPE, &action, NULL);
  alarm(1);
  printf("%d\n", handler_runs);
  fflush(stdout);
  return *(volatile int *)8;
}

static int count_format(void) {
  int count = 0;
  printf("four%n\n", &count);
  printf("%d\n", count);
  return 0;
}
static int count_format_wild(void) { return printf("four%n\n", (int *)(0x7ffe0000UL | 0x5500000000000000UL)); }
static int format_from_nowhere(void) { return printf((char *)0x7fffffff); }
static int flood(void) {
  for (long i = 0; i < 40000; i++) printf("%0500ld", i);
  return 0;
}
static int wide_field(void) { return snprintf(NULL, 0, "%2147483600d", 1) > 0 ? 0 : 1; }
static int executable_memory(void) {
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 0;
  *(unsigned char *)page = 0xc3;
  ((void (*)(void))page)();
  return 1;
}
static int remap_everything(void) {
  int refused = 0;
  refused += mmap((void *)0x41000000, 4096, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
  refused += mprotect((void *)0x41000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == -1;
  munmap((void *)0, (size_t)1 << 47);
  munmap((void *)0x41000000, 1 << 20);
  return refused;
}
static int double_free(void) {
  char *volatile block = allocate(100);
  free(block);
  free(block);
  return 3;
}
static int free_wild(void) {
  free((void *)0x7ffe0010);
  return 3;
}
static int overflow_heap(void) {
  char *block = allocate(64);
  for (volatile long i = 0;; i++) ((volatile char *)block)[i] = 'A';
}

struct attack { const char *name; int (*act)(void); };
static const struct attack attacks[] = {
    {"bomb", bomb}, {"blind_bomb", blind_bomb}, {"small_bomb", small_bomb}, {"impossible_sizes", impossible_sizes},
    {"processes", processes}, {"all_system_calls", all_system_calls}, {"evil_pointers", evil_pointers},
    {"signals", signals}, {"count_format", count_format}, {"count_format_wild", count_format_wild},
    {"format_from_nowhere", format_from_nowhere}, {"flood", flood}, {"wide_field", wide_field},
    {"executable_memory", executable_memory}, {"remap_everything", remap_everything}, {"double_free", double_free},
    {"free_wild", free_wild}, {"overflow_heap", overflow_heap},
};

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "";
  if (!strcmp(name, "open")) return open_path(argv[2]);
  if (!strcmp(name, "list_and_write")) return list_and_write(argv[2]);
  if (!strcmp(name, "exit")) exit(atoi(argv[2]));
  if (!strcmp(name, "_exit")) { printf("lost"); _exit(atoi(argv[2])); }
  if (!strcmp(name, "abort")) abort();
  if (!strcmp(name, "assert")) assert(argc == 0);
  if (!strcmp(name, "return")) return atoi(argv[2]);
  for (unsigned i = 0; i < sizeof attacks / sizeof *attacks; i++)
    if (!strcmp(name, attacks[i].name)) return attacks[i].act();
  return attempt(-1) + 100;
}
