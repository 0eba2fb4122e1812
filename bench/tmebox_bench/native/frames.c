/* int dl_iterate_phdr(int (*)(struct dl_phdr_info *, size_t, void *), void *)

   Where the unwinder finds its tables: the program itself is all there is. The C library's own goes by what the kernel
   tells a process, which the start-up here does not keep. */
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <string.h>

extern __attribute__((__visibility__("hidden"))) const char __ehdr_start[];

int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)__ehdr_start;
	struct dl_phdr_info info;
	memset(&info, 0, sizeof info);
	info.dlpi_name = "";
	info.dlpi_phdr = (const Elf64_Phdr *)(__ehdr_start + header->e_phoff);
	info.dlpi_phnum = header->e_phnum;
	if (header->e_type == ET_DYN) info.dlpi_addr = (Elf64_Addr)__ehdr_start;
	return callback(&info, sizeof info, data);
}
