/* What Lighttpd needs of <sys/queue.h>, which musl does not have: lists that know their tail. */
#pragma once

#define STAILQ_HEAD(name, type)      \
	struct name {                \
		struct type *first;  \
		struct type **after; \
	}
#define STAILQ_ENTRY(type)        \
	struct {                  \
		struct type *next; \
	}
#define STAILQ_FIRST(list) ((list)->first)
#define STAILQ_NEXT(item, link) ((item)->link.next)
#define STAILQ_EMPTY(list) (STAILQ_FIRST(list) == 0)
#define STAILQ_INIT(list)                           \
	do {                                        \
		STAILQ_FIRST(list) = 0;             \
		(list)->after = &STAILQ_FIRST(list); \
	} while (0)
#define STAILQ_FOREACH(item, list, link) \
	for ((item) = STAILQ_FIRST(list); (item); (item) = STAILQ_NEXT(item, link))
#define STAILQ_INSERT_TAIL(list, item, link)              \
	do {                                              \
		STAILQ_NEXT(item, link) = 0;              \
		*(list)->after = (item);                  \
		(list)->after = &STAILQ_NEXT(item, link); \
	} while (0)
#define STAILQ_REMOVE_HEAD(list, link)                                           \
	do {                                                                     \
		STAILQ_FIRST(list) = STAILQ_NEXT(STAILQ_FIRST(list), link);      \
		if (STAILQ_EMPTY(list)) (list)->after = &STAILQ_FIRST(list);     \
	} while (0)
