/* What a program in C++ needs natively besides start.c: where the unwinder finds its tables, and thread-local
   variables, which are data like any other in a sandbox. */
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/syscall.h>

enum { SET_FS = 0x1002, ROOM = 4096, ALIGN = 64 };

extern __attribute__((__visibility__("hidden"))) const char __ehdr_start[];

static const Elf64_Ehdr *header(void)
{
	return (const Elf64_Ehdr *)__ehdr_start;
}

static const char *base(void)
{
	return header()->e_type == ET_DYN ? __ehdr_start : 0;
}

/* The C library's own goes by what the kernel tells a process, which the start-up here does not keep. */
int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
	struct dl_phdr_info info;
	memset(&info, 0, sizeof info);
	info.dlpi_name = "";
	info.dlpi_phdr = (const Elf64_Phdr *)(__ehdr_start + header()->e_phoff);
	info.dlpi_phnum = header()->e_phnum;
	info.dlpi_addr = (Elf64_Addr)base();
	return callback(&info, sizeof info, data);
}

/* The variables end where fs points, and there is fs itself. */
__attribute__((__constructor__(101))) static void make_thread_locals(void)
{
	static _Alignas(ALIGN) char room[ROOM + sizeof(void *)];
	char *end = room + ROOM;
	const Elf64_Phdr *each = (const Elf64_Phdr *)(__ehdr_start + header()->e_phoff);
	for (int left = header()->e_phnum; left; left--, each++) {
		if (each->p_type != PT_TLS) continue;
		unsigned long size = (each->p_memsz + each->p_align - 1) & -each->p_align;
		if (size > ROOM || each->p_align > ALIGN) __builtin_trap();
		memcpy(end - size, base() + each->p_vaddr, each->p_filesz);
	}
	*(char **)end = end;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(SYS_arch_prctl), "D"(SET_FS), "S"(end) : "rcx", "r11", "memory");
	if (result) __builtin_trap();
}
