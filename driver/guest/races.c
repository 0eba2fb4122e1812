/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* When a revocation has returned, no thread uses the page: it is tried while another faults all the time. */
#include <pthread.h>
#include <signal.h>

#include "guest.h"

#define PAGES 64

static volatile bool stop;
static volatile uint64_t *target;
static volatile uint64_t faults, stores;

/*
 * Stores into one page after the other for as long as it may, and tries
 * again for as long as it may not. So most of its stores are first ones.
 */
static void *store_all_the_time(void *unused)
{
	uint64_t number = 0;

	(void)unused;
	stay_on_cpu(1);
	while (!stop) {
		number++;
		if (write_at(target + number % PAGES * PAGE / 8, number))
			faults++;
		else
			stores++;
	}
	return NULL;
}

/* Does a word change after now? The other thread runs meanwhile, on another CPU. */
static bool changes(volatile uint64_t *words)
{
	uint64_t before[PAGES];

	for (unsigned int i = 0; i < PAGES; i++)
		before[i] = words[i * PAGE / 8];
	for (unsigned int i = 0; i < 100 * PAGES; i++)
		if (words[i % PAGES * PAGE / 8] != before[i % PAGES])
			return true;
	return false;
}

/* Long enough for a few stores, or for none. */
static void wait_for_some(uint64_t had, unsigned int count)
{
	for (unsigned int i = 0; i < 1000000 && stores < had + count; i++)
		;
}

enum how { REVOKE, MAKE_READ_ONLY, FREE };

static void race(enum how how)
{
	unsigned long rounds = number_for("rounds", 3000), late = 0;
	int fd = device_with(PAGES);
	uint32_t key = new_key(fd);
	volatile uint64_t *seen = view(fd, 0, 0, PAGES, PROT_READ);
	pthread_t thread;

	stay_on_cpu(0);
	if (how != REVOKE)
		rounds /= 4;
	target = view(fd, key, 0, PAGES, PROT_READ | PROT_WRITE);
	CHECK(!pthread_create(&thread, NULL, store_all_the_time, NULL));
	for (unsigned long round = 0; round < rounds; round++) {
		uint64_t had = stores;

		if (how == FREE || round == 0)
			CHECK(!move(fd, key, 0, PAGES));
		CHECK(!grant(fd, key, 0, PAGES, RW));
		wait_for_some(had, round % 8 * 4);
		if (how == REVOKE) {
			CHECK(!revoke_range(fd, key, 0, PAGES, RW));
		} else if (how == MAKE_READ_ONLY) {
			CHECK(!revoke_range(fd, key, 0, PAGES, TMEBOX_WRITE));
		} else {
			CHECK(!key_free(fd, key));
		}
		late += changes(seen);
		if (how == FREE) {
			uint32_t next = new_key(fd);
			volatile uint64_t *before = target;

			target = view(fd, next, 0, PAGES, PROT_READ | PROT_WRITE);
			key = next;
			/* The other thread may be at it: it then gets a SIGSEGV, which it expects. */
			CHECK(!munmap((void *)before, PAGES * PAGE));
		}
	}
	stop = true;
	CHECK(!pthread_join(thread, NULL));
	report("count revocations: %lu, late stores: %lu (%llu stores, %llu faults)", rounds, late,
	       (unsigned long long)stores, (unsigned long long)faults);
	CHECK(stores > 0 && faults > 0);
	CHECK_EQUAL(late, 0);
}

static void no_store_comes_after_a_revocation(void)
{
	race(REVOKE);
}

static void no_store_comes_after_a_page_became_read_only(void)
{
	race(MAKE_READ_ONLY);
}

static void no_store_comes_after_a_key_was_freed(void)
{
	race(FREE);
}

/* Two threads change grants of one page while a third uses it: none of them is left waiting. */
static int contended_fd;
static uint32_t contended_key;

static void *grant_all_the_time(void *unused)
{
	(void)unused;
	while (!stop) {
		CHECK(!grant(contended_fd, contended_key, 0, 2, RW));
		CHECK(!grant(contended_fd, contended_key, 0, 1, TMEBOX_READ | TMEBOX_OWNER));
	}
	return NULL;
}

static void changes_from_several_threads(void)
{
	pthread_t threads[3];

	contended_fd = device_with(PAGES);
	contended_key = new_key(contended_fd);
	target = view(contended_fd, contended_key, 0, PAGES, PROT_READ | PROT_WRITE);
	CHECK(!move(contended_fd, contended_key, 0, PAGES));
	CHECK(!pthread_create(&threads[0], NULL, store_all_the_time, NULL));
	for (int i = 1; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, grant_all_the_time, NULL));
	for (int i = 0; i < 500; i++)
		CHECK(!revoke_range(contended_fd, contended_key, 0, 2, RW));
	stop = true;
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(!revoke_range(contended_fd, contended_key, 0, 2, RW));
	CHECK_EQUAL(read_at(target), SIGBUS);
	if (has_monitor())
		CHECK_EQUAL(entry_of(target), 0);
}

static const struct test tests[] = {
	{ "no store comes after a revocation", no_store_comes_after_a_revocation, 120 },
	{ "no store comes after a page became read-only", no_store_comes_after_a_page_became_read_only, 120 },
	{ "no store comes after a key was freed", no_store_comes_after_a_key_was_freed, 120 },
	{ "changes from several threads", changes_from_several_threads, 120 },
	{},
};

const struct group race_group = { "races", tests };
