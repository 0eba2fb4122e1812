/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * What user space and /dev/tmebox say to each other.
 *
 * An open file has one heap of pages and any number of keys. A view is a
 * shared mapping of the heap through one key: the offset given to mmap() is
 * TMEBOX_OFFSET(key, byte offset in the heap). Only the process that opened
 * the file may use it.
 */
#ifndef TMEBOX_UAPI_H
#define TMEBOX_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define TMEBOX_VERSION		1

/* A heap has at most 64 GiB; above it in the mmap offset comes the key. */
#define TMEBOX_HEAP_BITS	36
#define TMEBOX_KEY_BITS_MAX	15

/*
 * The view of key 0 is the host's. Each of its entries carries the KeyID of
 * the page's present owner. TMEBOX_ALIAS makes a view for the host's own use
 * that reaches every page with one KeyID, whatever was granted: a page is
 * moved to another key by reading through one and writing through another.
 */
#define TMEBOX_ALIAS		(1ULL << 52)
#define TMEBOX_OFFSET(key, byte) (((__u64)(key) << TMEBOX_HEAP_BITS) | (byte))

/* struct tmebox_info.flags */
#define TMEBOX_INTEGRITY	(1U << 0)	/* a wrong key is a machine check */
#define TMEBOX_COHERENT		(1U << 1)	/* said by who loaded the module */
#define TMEBOX_SIMULATED	(1U << 2)	/* nothing is encrypted */

/* struct tmebox_info.algorithms, as in IA32_TME_CAPABILITY */
#define TMEBOX_AES_XTS_128		(1U << 0)
#define TMEBOX_AES_XTS_128_INTEGRITY	(1U << 1)
#define TMEBOX_AES_XTS_256		(1U << 2)
#define TMEBOX_AES_XTS_256_INTEGRITY	(1U << 3)

struct tmebox_info {
	__u32 version;
	__u32 key_bits;		/* KeyID bits of a page-table entry */
	__u32 key_shift;	/* the lowest of them */
	__u32 keys;		/* usable keys are 1 … keys */
	__u32 flags;
	__u32 algorithms;	/* those that may be used here */
	__u64 heap_pages;	/* of this file; 0 before CREATE */
	__u64 heap_pages_max;
	__u64 reserved[3];	/* 0 */
};

struct tmebox_create {
	__u64 pages;
};

struct tmebox_key_number {
	__u32 key;
	__u32 reserved;		/* 0 */
};

/* struct tmebox_range.rights */
#define TMEBOX_READ		(1U << 0)
#define TMEBOX_WRITE		(1U << 1)	/* only with TMEBOX_READ */
/*
 * The key becomes the present owner: the one whose KeyID the host's view
 * uses. Alone it changes nothing else, and then key 0 may be given, too.
 */
#define TMEBOX_OWNER		(1U << 2)
/*
 * Only with TMEBOX_READ, not with TMEBOX_OWNER: the entries carry the KeyID
 * of the page's present owner, as those of the host's view do, instead of
 * this key's. So keys share pages. Such grants end when the owner changes.
 */
#define TMEBOX_AS_OWNER		(1U << 3)

struct tmebox_range {
	__u32 key;
	__u32 rights;		/* 0 for FLUSH, MOVE and DISCARD */
	__u64 first;		/* page of the heap */
	__u64 count;		/* of pages, at least 1 */
};

#define TMEBOX_IOC		0xB7

#define TMEBOX_IOC_INFO		_IOR(TMEBOX_IOC, 0, struct tmebox_info)
#define TMEBOX_IOC_CREATE	_IOW(TMEBOX_IOC, 1, struct tmebox_create)
/* EBUSY while the machine goes to sleep: keys would be lost. */
#define TMEBOX_IOC_KEY_ALLOC	_IOR(TMEBOX_IOC, 2, struct tmebox_key_number)
#define TMEBOX_IOC_KEY_FREE	_IOW(TMEBOX_IOC, 3, struct tmebox_key_number)
/* The pages are in the key's view with exactly these rights. */
#define TMEBOX_IOC_GRANT	_IOW(TMEBOX_IOC, 4, struct tmebox_range)
/* These rights go. When it returns, no CPU uses them any more. */
#define TMEBOX_IOC_REVOKE	_IOW(TMEBOX_IOC, 5, struct tmebox_range)
/*
 * The pages keep their bytes and become the key's, or with 0 the host's:
 * read under the present owner's key, flushed, written under this one in
 * whole lines. The host's view waits meanwhile. Nobody else may have them.
 * Where it fails, some of them have gone over, and each has one owner.
 */
#define TMEBOX_IOC_MOVE		_IOW(TMEBOX_IOC, 7, struct tmebox_range)
/*
 * The pages' memory goes back to the kernel, and every right to them ends.
 * The next use finds zeros of the host. key: 0.
 */
#define TMEBOX_IOC_DISCARD	_IOW(TMEBOX_IOC, 8, struct tmebox_range)
/* The pages' lines leave the caches under this key. */
#define TMEBOX_IOC_FLUSH	_IOW(TMEBOX_IOC, 6, struct tmebox_range)

#endif
