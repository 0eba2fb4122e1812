/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Checks, touches that may fault, questions to the machine's monitor. */
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/klog.h>
#include <termios.h>
#include <time.h>
#include <ucontext.h>

#include "guest.h"

#define READ_ALL 3

void report(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

void fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	printf("# %s:%d: ", file, line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

volatile int signal_code;
void *volatile signal_address;
static __thread sigjmp_buf back;
static __thread volatile bool touching;

/* What nobody expects ends the process as it would without this handler, but says where. */
static void end_unexpected(int number, const siginfo_t *information, const ucontext_t *context)
{
	char line[160];
	int length = snprintf(line, sizeof(line), "# signal %d, code %d, address %p, at %#llx, thread %d of %d\n",
			      number, information->si_code, information->si_addr,
			      context->uc_mcontext.gregs[REG_RIP], gettid(), getpid());

	if (write(1, line, length) != length)
		abort();
	signal(number, SIG_DFL);
	raise(number);
}

static void on_fault(int number, siginfo_t *information, void *context)
{
	if (!touching) {
		end_unexpected(number, information, context);
		return;
	}
	touching = false;
	signal_code = information->si_code;
	signal_address = information->si_addr;
	siglongjmp(back, number);
}

void expect_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

int read_at(const volatile void *address)
{
	int number = sigsetjmp(back, 1);

	if (number)
		return number;
	touching = true;
	(void)*(const volatile uint64_t *)address;
	touching = false;
	return 0;
}

int write_at(volatile void *address, uint64_t value)
{
	int number = sigsetjmp(back, 1);

	if (number)
		return number;
	touching = true;
	*(volatile uint64_t *)address = value;
	touching = false;
	return 0;
}

int call_at(const volatile void *address)
{
	int number = sigsetjmp(back, 1);

	if (number)
		return number;
	touching = true;
	((void (*)(void))(uintptr_t)address)();
	touching = false;
	return 0;
}

/* Reads over and over, by the code in [reading_begins, reading_ends), until a signal ends it. */
int read_until_signal(const volatile void *address)
{
	int number = sigsetjmp(back, 1);

	if (number)
		return number;
	touching = true;
	__asm__ volatile(".globl reading_begins, reading_ends\n"
			 "reading_begins:\n\t"
			 "movq (%0), %%rax\n\t"
			 "jmp reading_begins\n"
			 "reading_ends:"
			 :
			 : "r"(address)
			 : "rax", "memory");
	__builtin_unreachable();
}

/*
 * A line to the monitor and one back. Unless @sleeping, the process never
 * sleeps while it waits, so that its page tables are those that the CPU
 * uses. The monitor sees whether they are by a word that it knows.
 */
void ask(bool sleeping, char *answer, size_t size, const char *format, ...)
{
	static int line = -1;
	volatile uint64_t probe = 0x70726f6265000000ULL ^ (uint64_t)getpid();
	struct pollfd waiting;
	struct termios raw;
	char question[256];
	va_list arguments;
	size_t have = 0;
	int length;

	if (!has_monitor()) {
		report("# only the monitor of a virtual machine sees page-table entries");
		_exit(SKIPPED);
	}
	stay_on_cpu(0);
	if (line < 0) {
		line = open("/dev/ttyS2", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		CHECK(line >= 0);
		CHECK(!tcgetattr(line, &raw));
		cfmakeraw(&raw);
		CHECK(!tcsetattr(line, TCSANOW, &raw));
	}
	va_start(arguments, format);
	length = vsnprintf(question, sizeof(question), format, arguments);
	va_end(arguments);
	length += snprintf(question + length, sizeof(question) - length, " %lx %lx\n", (unsigned long)&probe,
			   (unsigned long)probe);
	CHECK(write(line, question, length) == length);
	waiting = (struct pollfd){ .fd = line, .events = POLLIN };
	for (;;) {
		ssize_t got = read(line, answer + have, 1);

		if (got != 1) {
			if (sleeping)
				poll(&waiting, 1, -1);
			continue;
		}
		if (answer[have] == '\n')
			break;
		CHECK(++have < size);
	}
	answer[have] = 0;
}

uint64_t entry_of(const volatile void *address)
{
	char answer[64];

	ask(false, answer, sizeof(answer), "entry %lx", (unsigned long)address);
	return strtoull(answer, NULL, 16);
}

/* The so-manieth of those that the process had at first. */
void stay_on_cpu(int number)
{
	static cpu_set_t all;
	cpu_set_t one;
	int cpu = -1;

	if (!CPU_COUNT(&all))
		CHECK(!sched_getaffinity(0, sizeof(all), &all));
	for (int left = number; left >= 0; left--)
		do
			CHECK(++cpu < CPU_SETSIZE);	/* there are too few */
		while (!CPU_ISSET(cpu, &all));
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK(!sched_setaffinity(0, sizeof(one), &one));
}

/* Of a program that is not the machine's first: its own arguments. */
const char *instead_of_command_line;

bool has_monitor(void)
{
	return !instead_of_command_line;
}

/* `name=number` on the kernel's command line. */
unsigned long number_for(const char *what, unsigned long otherwise)
{
	static char line[4096];
	char name[64], *found;
	FILE *file;

	if (!line[0] && instead_of_command_line) {
		snprintf(line, sizeof(line), " %s", instead_of_command_line);
	} else if (!line[0]) {
		file = fopen("/proc/cmdline", "r");
		CHECK(file && fgets(line, sizeof(line), file));
		fclose(file);
	}
	snprintf(name, sizeof(name), " %s=", what);
	found = strstr(line, name);
	return found ? strtoul(found + strlen(name), NULL, 0) : otherwise;
}

static double since;
static unsigned long taint_before;

static unsigned long tainted(void)
{
	unsigned long taint = 0;
	FILE *file = fopen("/proc/sys/kernel/tainted", "r");

	if (!file || fscanf(file, "%lu", &taint) != 1)
		taint = ~0UL;
	if (file)
		fclose(file);
	return taint;
}

/* A machine that is in use has a log already. Its clock is the one of the lines. */
void complaints_count_from_now(void)
{
	struct timespec time;

	CHECK(!clock_gettime(CLOCK_MONOTONIC, &time));
	since = time.tv_sec + time.tv_nsec / 1e9;
	taint_before = tainted();
}

/* Lines look like `<6>[   12.345678] words`; without a time they are taken for new. */
static bool is_old(const char *line)
{
	double when;

	return sscanf(line, "<%*d>[%lf]", &when) == 1 && when < since;
}

/* Says what it is, once. A module from outside and without a signature is no complaint. */
bool kernel_complained(void)
{
	static const char *const words[] = { "BUG", "WARNING", "Oops", "general protection", "Bad page",
		"Call Trace", "blocked for more than",
		"leaked", "bad pte", "Bad rss", "tmebox: memory", "Out of memory", "Huh VM_FAULT" };
	static char log[1 << 20];
	static size_t seen;
	unsigned long taint;
	int length = klogctl(READ_ALL, log, sizeof(log) - 1);
	bool found = false;
	char *line;

	log[length < 0 ? 0 : length] = 0;
	if (seen > (size_t)length)
		seen = 0;
	for (line = strtok(log + seen, "\n"); line; line = strtok(NULL, "\n")) {
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
			if (!strstr(line, words[i]) || is_old(line))
				continue;
			report("# kernel: %s", line);
			found = true;
		}
	}
	seen = length < 0 ? 0 : length;
	/* 4: a machine check, which one group asks for; 12, 13: the module's origin. */
	taint = (tainted() ^ taint_before) & ~(1UL << 4 | 1UL << 12 | 1UL << 13);
	if (taint)
		report("# kernel: tainted %#lx", taint);
	return found || taint;
}
