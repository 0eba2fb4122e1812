// Exceptions where users seldom look: very deep, very large, kept from one call to the next, thrown by signals and threads.
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <exception>
#include <future>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

#include <sys/time.h>
#include <unistd.h>

extern "C" int host(int);

static int alive;
struct Counted {
	Counted() { alive++; }
	~Counted() { alive--; }
};
extern "C" int left_alive() { return alive; }

/* -- deep and large --------------------------------------------------------------------------------------- */
static __attribute__((noinline)) int below(int n)
{
	Counted c;
	if (n == 0) throw n;
	return below(n - 1) + 1;
}
extern "C" int deep(int n)
{
	try {
		return below(n);
	} catch (int zero) {
		return zero + 1;
	}
}
template <int mebibytes> struct Huge {
	char bytes[mebibytes << 20];
};
extern "C" int huge(int fits)
{
	try {
		if (fits) {
			static Huge<8> eight;
			eight.bytes[5 << 20] = 7;
			throw eight;
		}
		throw Huge<100>();
	} catch (const Huge<8> &caught) {
		return caught.bytes[5 << 20];
	} catch (const Huge<100> &) {
		return -1;
	}
}

/* -- from one call to the next ----------------------------------------------------------------------------- */
static std::exception_ptr kept;
struct Tracked : std::runtime_error {
	using runtime_error::runtime_error;
	Counted counted;
};
extern "C" int keep(int n)
{
	try {
		throw Tracked("kept " + std::to_string(n));
	} catch (...) {
		kept = std::current_exception();
	}
	return alive;
}
extern "C" int again()
{
	if (!kept) return -1;
	try {
		std::rethrow_exception(kept);
	} catch (const Tracked &error) {
		return std::atoi(error.what() + 5);
	}
}
extern "C" void again_uncaught() { std::rethrow_exception(kept); }
extern "C" void forget() { kept = nullptr; }
/* An exception stays in flight when the host's function raises: what is thrown then is lost, the sandbox with it. */
extern "C" int host_within_handler(int n)
{
	try {
		throw n;
	} catch (int) {
		Counted c;
		return host(n);
	}
}
extern "C" int nested_exceptions()
{
	try {
		try {
			throw std::runtime_error("inner");
		} catch (...) {
			std::throw_with_nested(std::logic_error("outer"));
		}
	} catch (const std::logic_error &outer) {
		try {
			std::rethrow_if_nested(outer);
		} catch (const std::runtime_error &inner) {
			return outer.what()[0] == 'o' && inner.what()[0] == 'i';
		}
	}
	return 0;
}

/* -- how it ends ------------------------------------------------------------------------------------------- */
struct Throws {
	~Throws() noexcept(false) { throw 5; }
};
namespace mine {
template <class T> struct Error : std::runtime_error {
	using runtime_error::runtime_error;
};
}
static std::string said;
extern "C" void ends(int how)
{
	switch (how) {
	case 0: std::thread([] { throw mine::Error<std::vector<int>>("in a thread"); }).join(); break;
	case 1: std::thread([] {}); break; // not joined
	case 2: {
		struct sigaction action = {};
		action.sa_handler = [](int) { throw mine::Error<int>("in a handler"); };
		sigaction(SIGALRM, &action, nullptr);
		ualarm(1000, 0);
		try {
			for (;;) usleep(1000);
		} catch (const mine::Error<int> &) {
			std::_Exit(3);
		}
	}
	case 3: std::atexit([] { throw 4; }), std::exit(0);
	case 4: std::set_terminate([] { std::rethrow_exception(std::current_exception()); }), throw 6;
	case 5: std::set_terminate([] { return; }), throw 7;
	case 6: throw std::string(1 << 16, '\x1b');
	case 7: {
		struct Hostile : std::exception {
			const char *what() const noexcept override { return reinterpret_cast<const char *>(0xfffffff0); }
		};
		throw Hostile();
	}
	case 8: {
		static std::string endless(8 << 20, 'w');
		struct Long : std::exception {
			const char *what() const noexcept override { return endless.c_str(); }
		};
		throw Long();
	}
	case 9: __cxxabiv1::__cxa_throw(__cxxabiv1::__cxa_allocate_exception(8), reinterpret_cast<std::type_info *>(0x7fff0000), nullptr);
	case 10: __cxxabiv1::__cxa_throw(__cxxabiv1::__cxa_allocate_exception(8), reinterpret_cast<std::type_info *>(&said), nullptr);
	case 11: __cxxabiv1::__cxa_throw(reinterpret_cast<void *>(1UL << 40), const_cast<std::type_info *>(&typeid(int)), nullptr);
	case 12: {
		auto object = new (__cxxabiv1::__cxa_allocate_exception(8)) int(1);
		__cxxabiv1::__cxa_throw(object, const_cast<std::type_info *>(&typeid(int)), reinterpret_cast<void (*)(void *)>(0x40000003));
	}
	case 13: __cxxabiv1::__cxa_rethrow();
	case 14: __cxxabiv1::__cxa_end_catch(), __cxxabiv1::__cxa_end_catch(), throw 8;
	case 15: {
		Throws t;
		throw 9;
	}
	}
}
/* A type of the sandbox's own making: its name is looked at when it is thrown and not caught. */
struct Named {
	const void *table;
	const char *name;
};
extern "C" void throws_type(unsigned long table, unsigned long name)
{
	static Named type;
	type = { table ? reinterpret_cast<const void *>(table) : *reinterpret_cast<const void *const *>(&typeid(int)),
		reinterpret_cast<const char *>(name) };
	__cxxabiv1::__cxa_throw(__cxxabiv1::__cxa_allocate_exception(8), reinterpret_cast<std::type_info *>(&type), nullptr);
}
extern "C" int bad_destructor(int where)
{
	auto object = new (__cxxabiv1::__cxa_allocate_exception(8)) int(1);
	try {
		__cxxabiv1::__cxa_throw(object, const_cast<std::type_info *>(&typeid(int)),
			reinterpret_cast<void (*)(void *)>(static_cast<unsigned long>(where)));
	} catch (int) {
	}
	return 1;
}

/* -- threads ------------------------------------------------------------------------------------------------ */
extern "C" int in_turns(int threads, int rounds)
{
	std::vector<std::future<int>> results;
	for (int i = 0; i < threads; i++) {
		results.push_back(std::async(std::launch::async, [i, rounds] {
			int sum = 0;
			for (int j = 0; j < rounds; j++) {
				try {
					Counted c;
					throw i * 1000 + j;
				} catch (int own) {
					std::this_thread::yield(); // others throw and catch meanwhile
					try {
						throw std::runtime_error(std::to_string(own));
					} catch (const std::exception &text) {
						std::this_thread::yield();
						if (std::uncaught_exceptions() || std::atoi(text.what()) != own) return -1;
					}
					sum += own == i * 1000 + j;
				}
			}
			if (i == 3) throw std::out_of_range("three");
			return sum;
		}));
	}
	int sum = 0;
	for (auto &result : results) {
		try {
			sum += result.get();
		} catch (const std::out_of_range &) {
			sum += 1000000;
		}
	}
	return sum;
}
extern "C" int across_threads(int n)
{
	std::exception_ptr pointer;
	std::thread([&] {
		try {
			below(n);
		} catch (...) {
			pointer = std::current_exception();
		}
	}).join();
	try {
		std::rethrow_exception(pointer);
	} catch (int zero) {
		return zero + alive;
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !std::strcmp(argv[1], "throw")) throw mine::Error<double>("from main");
	if (argc > 1 && !std::strcmp(argv[1], "static")) {
		static struct Late {
			~Late() noexcept(false) { throw mine::Error<char>("after main"); }
		} late;
	}
	std::puts("fine");
}
