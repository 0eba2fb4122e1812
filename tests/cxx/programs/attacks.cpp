#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <unwind.h>

extern "C" int host(int);
extern "C" void __register_frame(const void *);
extern "C" void __deregister_frame(const void *);

static int alive;
struct Counted {
	Counted() { alive++; }
	~Counted() { alive--; }
};
extern "C" int left_alive() { return alive; }

/* -- through the host and back -------------------------------------------------------------------------- */
static int depth_seen;
extern "C" __attribute__((noinline)) int nested(int n)
{
	Counted c;
	depth_seen = n;
	try {
		if (n == 0) throw std::runtime_error("bottom");
		int result = host(n - 1);
		if (result < 0) throw result;
		return result + 1;
	} catch (const std::runtime_error &error) {
		return error.what()[0] == 'b' ? 100 : -1;
	}
}
/* Each level has an exception of its own in flight while the host is called, and throws it again. */
extern "C" __attribute__((noinline)) int in_flight(int n)
{
	try {
		try {
			throw n;
		} catch (int mine) {
			Counted c;
			int below = n ? host(n - 1) : 0;
			if (std::uncaught_exceptions() != 0 || mine != n || below != (n ? 1000 + n - 1 : 0)) std::abort();
			throw;
		}
	} catch (int same) {
		return 1000 + same;
	}
}
extern "C" int throws_after(int n)
{
	Counted c;
	try {
		host(n);
		throw std::string("after");
	} catch (const std::string &text) {
		return static_cast<int>(text.size()) + alive;
	}
}
using callback = int (*)(int);
extern "C" int by_pointer(callback call, int n)
{
	Counted c;
	try {
		if (call(n) > 3) throw n;
		return 0;
	} catch (int number) {
		return number;
	}
}
extern "C" int thrown_within(int n) { throw n; }

/* -- jumps ---------------------------------------------------------------------------------------------- */
static jmp_buf place;
static __attribute__((noinline)) void down(int n)
{
	Counted c;
	try {
		if (n == 0) longjmp(place, 7);
		down(n - 1);
	} catch (...) {
		alive = -1000;
	}
}
extern "C" int jumps_over(int n)
{
	if (int got = setjmp(place)) {
		try {
			throw got;
		} catch (int number) {
			return number;
		}
	}
	down(n);
	return 0;
}
extern "C" int jumps_out_of_handlers(int n)
{
	volatile int done = 0;
	while (done < n) {
		if (setjmp(place) == 0) {
			try {
				throw std::runtime_error("left behind");
			} catch (const std::exception &) {
				done = done + 1;
				longjmp(place, 1);
			}
		}
	}
	try {
		throw 5;
	} catch (int five) {
		return five;
	}
}
extern "C" int jumps_out_of_destructors()
{
	struct Jumps {
		~Jumps() noexcept(false) { longjmp(place, 9); }
	};
	if (int got = setjmp(place)) return got + std::uncaught_exceptions();
	try {
		Jumps j;
		throw 1;
	} catch (int) {
	}
	return 0;
}

/* -- little room ---------------------------------------------------------------------------------------- */
static __attribute__((noinline)) int fill(int n, char *above)
{
	char here[256];
	memset(here, n, sizeof here);
	Counted c;
	if (n == 0) throw std::string(here, 3);
	return fill(n - 1, here) + here[above ? above[0] & 1 : 0];
}
extern "C" int throws_below(int n)
{
	try {
		return fill(n, nullptr);
	} catch (const std::string &text) {
		return static_cast<int>(text.size());
	}
}
extern "C" int throws_without_memory(int rounds)
{
	static std::vector<void *> held;
	held.reserve(1 << 16);
	for (size_t size = 1 << 20; size >= 16; size /= 2)
		while (held.size() < held.capacity())
			if (void *block = std::malloc(size)) held.push_back(block);
			else break;
	int caught = 0;
	for (int i = 0; i < rounds; i++) {
		try {
			if (i % 2) throw std::runtime_error("a text that is too long to lie within the string itself");
			throw i;
		} catch (const std::bad_alloc &) {
			caught++;
		} catch (const std::exception &) {
			caught++;
		} catch (int) {
			caught++;
		}
	}
	for (void *block : held) std::free(block);
	held.clear();
	try {
		throw std::vector<int>(1000, 3);
	} catch (const std::vector<int> &many) {
		return caught + (many[999] == 3);
	}
}
extern "C" int keeps_exceptions(int n)
{
	try {
		std::vector<std::exception_ptr> kept;
		for (int i = 0; i < n; i++) kept.push_back(std::make_exception_ptr(std::string(100, 'x')));
		std::rethrow_exception(kept[n / 2]);
	} catch (const std::string &text) {
		return static_cast<int>(text.size());
	} catch (const std::bad_alloc &) {
		return -1;
	}
}

/* -- statics --------------------------------------------------------------------------------------------- */
static int attempts;
struct Third {
	Third()
	{
		if (++attempts < 3) throw attempts;
	}
};
extern "C" int third_time()
{
	int thrown = 0;
	for (int i = 0; i < 5; i++) {
		try {
			static Third third;
		} catch (int number) {
			thrown = thrown * 10 + number;
		}
	}
	return thrown * 10 + attempts;
}
extern "C" int recursive(int n)
{
	static int value = recursive(n + 1);
	return value;
}

/* -- endless --------------------------------------------------------------------------------------------- */
static __attribute__((noinline)) int deep(int n)
{
	Counted c;
	if (n == 0) throw 3;
	return deep(n - 1) + 1;
}
extern "C" int unwinds_for_long(int depth, int rounds)
{
	int sum = 0;
	for (int i = 0; i < rounds; i++) {
		try {
			deep(depth);
		} catch (int three) {
			sum += three;
		}
	}
	return sum;
}

/* -- the unwinder by hand -------------------------------------------------------------------------------- */
static _Unwind_Exception forged;
static uintptr_t target;
static int stops;
static _Unwind_Reason_Code stop(int, _Unwind_Action, _Unwind_Exception_Class, _Unwind_Exception *, _Unwind_Context *context, void *how)
{
	stops++;
	switch (reinterpret_cast<uintptr_t>(how)) {
	case 1: _Unwind_SetIP(context, target); break;
	case 2: return _URC_INSTALL_CONTEXT;
	case 3: _Unwind_SetIP(context, target); return _URC_INSTALL_CONTEXT;
	case 4: return static_cast<_Unwind_Reason_Code>(99);
	case 5: for (int i = 0; i < 17; i++) _Unwind_SetGR(context, i, target); break;
	case 6: _Unwind_GetGR(context, -5); _Unwind_SetGR(context, 1 << 20, 1); break;
	case 7: throw 1;
	case 8: _Unwind_SetGR(context, 7, target); return _URC_INSTALL_CONTEXT;
	default: break;
	}
	return _URC_NO_REASON;
}
extern "C" int force(unsigned long how, unsigned long where)
{
	Counted c;
	target = where;
	try {
		return _Unwind_ForcedUnwind(&forged, stop, reinterpret_cast<void *>(how));
	} catch (...) {
		return 1000 + stops;
	}
}
extern "C" int raises(unsigned long kind, unsigned long value)
{
	memset(&forged, static_cast<int>(value), sizeof forged);
	switch (kind) {
	case 0: return _Unwind_RaiseException(&forged);
	case 1: _Unwind_Resume(&forged); break;
	case 2: return _Unwind_Resume_or_Rethrow(&forged);
	case 3: _Unwind_DeleteException(&forged); break;
	case 4: return _Unwind_RaiseException(reinterpret_cast<_Unwind_Exception *>(value));
	case 5: forged.exception_class = 0x434C4E47432B2B00; return _Unwind_RaiseException(&forged);
	case 6: _Unwind_Resume(reinterpret_cast<_Unwind_Exception *>(value)); break;
	case 7: forged.exception_class = 0x434C4E47432B2B01; return _Unwind_RaiseException(&forged);
	}
	return -1;
}
static _Unwind_Reason_Code nothing(_Unwind_Context *, void *count)
{
	++*static_cast<int *>(count);
	return _URC_NO_REASON;
}
extern "C" int backtrace(int n)
{
	if (n > 0) return backtrace(n - 1) + 1;
	int frames = 0;
	_Unwind_Backtrace(nothing, &frames);
	return frames;
}

/* A personality routine that sends the exception wherever its maker likes, with any stack. */
static unsigned long stack_wanted;
extern "C" _Unwind_Reason_Code installs(int, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception *, _Unwind_Context *context)
{
	if (actions & _UA_SEARCH_PHASE) return _URC_HANDLER_FOUND;
	_Unwind_SetIP(context, target);
	if (stack_wanted) _Unwind_SetGR(context, 7, stack_wanted);
	return _URC_INSTALL_CONTEXT;
}
extern "C" int with_frames(const unsigned char *rules, int size, int personality);
extern "C" int goes_to(const unsigned char *rules, int size, unsigned long where, unsigned long stack)
{
	target = where, stack_wanted = stack;
	return with_frames(rules, size, static_cast<int>(reinterpret_cast<uintptr_t>(&installs)));
}

/* Frame tables made as the program runs: `rules` are the instructions of a function that has none of its own. */
extern "C" __attribute__((noinline, used)) int throws_above(int n) { throw n; }
extern "C" int thrown_through(int);
asm(".text\n"
    ".globl thrown_through\n"
    ".type thrown_through, @function\n"
    "thrown_through:\n"
    "	subq $8, %rsp\n"
    "	call throws_above\n"
    "	addq $8, %rsp\n"
    "	ret\n"
    ".size thrown_through, .-thrown_through\n");
extern "C" int with_frames(const unsigned char *rules, int size, int personality)
{
	static unsigned char table[4096];
	unsigned char *at = table;
	auto number = [&](unsigned value) { memcpy(at, &value, 4); at += 4; };
	static const unsigned char common[] = {1, 'z', 'P', 'R', 0, 1, 0x78, 16, 6, 3};
	unsigned char *start = at;
	number(0), number(0);
	memcpy(at, common, sizeof common), at += sizeof common;
	number(personality), *at++ = 3;
	static const unsigned char usual[] = {0x0c, 7, 8, 0x90, 1};
	memcpy(at, usual, sizeof usual), at += sizeof usual;
	while ((at - start) % 4) *at++ = 0;
	unsigned length = static_cast<unsigned>(at - start) - 4;
	memcpy(start, &length, 4);
	unsigned char *frame = at;
	number(0), number(static_cast<unsigned>(at - start)), number(static_cast<unsigned>(reinterpret_cast<uintptr_t>(&thrown_through)));
	number(4096), *at++ = 0;
	memcpy(at, rules, static_cast<size_t>(size)), at += size;
	while ((at - frame) % 4) *at++ = 0;
	length = static_cast<unsigned>(at - frame) - 4;
	memcpy(frame, &length, 4);
	number(0);
	__register_frame(frame);
	try {
		return thrown_through(4);
	} catch (int n) {
		return n;
	}
}
extern "C" unsigned long here() { return reinterpret_cast<uintptr_t>(&here); }
