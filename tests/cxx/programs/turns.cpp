// What people do with C++ threads, a function each. Each returns what its test expects to see.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <queue>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

extern "C" int host(int);

static std::string events;
static std::mutex events_mutex;
static void note(const std::string &text)
{
	std::lock_guard guard(events_mutex);
	events += text + ' ';
}
extern "C" const char *noted() { return events.c_str(); }
extern "C" void forget() { events.clear(); }

/* -- a pool that shares work, and stops when asked ------------------------------------------------------- */
extern "C" int pool(int threads, int jobs)
{
	std::mutex mutex;
	std::condition_variable some, room;
	std::queue<int> waiting;
	std::map<std::thread::id, int> done;
	bool over = false;
	long sum = 0;
	std::vector<std::thread> workers;
	for (int i = 0; i < threads; i++) {
		workers.emplace_back([&] {
			for (;;) {
				std::unique_lock lock(mutex);
				some.wait(lock, [&] { return over || !waiting.empty(); });
				if (waiting.empty()) return;
				int job = waiting.front();
				waiting.pop();
				room.notify_one();
				done[std::this_thread::get_id()]++;
				sum += job;
			}
		});
	}
	for (int job = 1; job <= jobs; job++) {
		std::unique_lock lock(mutex);
		room.wait(lock, [&] { return waiting.size() < 4; });
		waiting.push(job);
		some.notify_one();
	}
	{
		std::lock_guard guard(mutex);
		over = true;
	}
	some.notify_all();
	for (auto &worker : workers) worker.join();
	int counted = 0;
	for (auto &[id, count] : done) counted += count;
	return counted == jobs && sum == static_cast<long>(jobs) * (jobs + 1) / 2 ? static_cast<int>(done.size()) : -1;
}

/* -- conditions -------------------------------------------------------------------------------------------- */
extern "C" int ping_pong(int rounds)
{
	std::mutex mutex;
	std::condition_variable_any changed;
	int turn = 0, seen = 0;
	auto player = [&](int own) {
		for (int i = 0; i < rounds; i++) {
			std::unique_lock lock(mutex);
			changed.wait(lock, [&] { return turn % 2 == own; });
			turn++, seen += own;
			changed.notify_all();
		}
	};
	std::thread one(player, 0), two(player, 1);
	one.join(), two.join();
	return turn * 1000 + seen;
}
extern "C" int waits_no_longer(int milliseconds)
{
	std::mutex mutex;
	std::condition_variable never;
	std::unique_lock lock(mutex);
	auto begin = std::chrono::steady_clock::now();
	bool timed_out = never.wait_for(lock, std::chrono::milliseconds(milliseconds)) == std::cv_status::timeout;
	auto until = std::chrono::system_clock::now() + 2ms;
	bool again = never.wait_until(lock, until, [] { return false; });
	auto took = std::chrono::steady_clock::now() - begin;
	return timed_out && !again && took >= std::chrono::milliseconds(milliseconds);
}

/* -- futures ------------------------------------------------------------------------------------------------ */
extern "C" int sums(int n)
{
	std::function<long(int, int)> sum = [&](int from, int to) -> long {
		if (to - from < 8) {
			long found = 0;
			while (from < to) found += from++;
			return found;
		}
		auto left = std::async(std::launch::async, sum, from, (from + to) / 2);
		return sum((from + to) / 2, to) + left.get();
	};
	return static_cast<int>(sum(0, n));
}
extern "C" int deferred()
{
	int ran = 0;
	auto later = std::async(std::launch::deferred, [&] { return ++ran; });
	if (ran || later.wait_for(0s) != std::future_status::deferred) return -1;
	return later.get() * 10 + ran;
}
struct Bad : std::runtime_error {
	int number;
	Bad(int n) : runtime_error("bad " + std::to_string(n)), number(n) {}
};
extern "C" int across_futures(int n)
{
	auto future = std::async(std::launch::async, [n]() -> int {
		std::this_thread::yield();
		throw Bad(n);
	});
	int found = 0;
	try {
		future.get();
	} catch (const Bad &bad) {
		found = bad.number + (bad.what() == "bad " + std::to_string(n));
	}
	std::promise<int> promise;
	auto shared = promise.get_future().share();
	std::thread sets([&] { promise.set_exception(std::make_exception_ptr(Bad(100))); });
	for (int i = 0; i < 2; i++) {
		try {
			shared.get();
		} catch (const Bad &bad) {
			found += bad.number;
		}
	}
	sets.join();
	return found;
}
extern "C" int broken_promises()
{
	std::future<int> future;
	{
		std::promise<int> promise;
		future = promise.get_future();
	}
	int codes = 0;
	try {
		future.get();
	} catch (const std::future_error &error) {
		codes += error.code() == std::future_errc::broken_promise;
	}
	std::packaged_task<int(int)> task([](int x) { return x * 2; });
	auto result = task.get_future();
	std::thread(std::move(task), 21).join();
	try {
		std::promise<int> promise;
		promise.set_value(1), promise.set_value(2);
	} catch (const std::future_error &error) {
		codes += error.code() == std::future_errc::promise_already_satisfied;
	}
	return codes * 100 + result.get();
}

/* -- thread_local --------------------------------------------------------------------------------------------- */
struct Loud {
	std::string name;
	Loud(std::string n) : name(std::move(n)) { note("+" + name); }
	~Loud() { note("-" + name); }
};
extern "C" void locals()
{
	auto work = [](const char *who) {
		thread_local Loud one(std::string(who) + "1");
		thread_local Loud two(std::string(who) + "2");
		std::this_thread::yield();
		(void)one.name, (void)two.name;
	};
	std::thread(work, "a").join();
	std::thread(work, "b").join();
}
struct Fails {
	Fails()
	{
		if (host(0)) throw Bad(7);
	}
	int value = 3;
};
extern "C" int local_that_throws()
{
	int found = 0;
	std::thread([&] {
		for (int i = 0; i < 3; i++) {
			try {
				static thread_local Fails fails;
				found += fails.value;
			} catch (const Bad &bad) {
				found += bad.number * 10;
			}
		}
	}).join();
	return found;
}

/* -- once ------------------------------------------------------------------------------------------------------ */
extern "C" int once_more()
{
	std::once_flag flag;
	std::atomic<int> tried = 0, thrown = 0;
	std::vector<std::thread> threads;
	for (int i = 0; i < 6; i++) {
		threads.emplace_back([&] {
			try {
				std::call_once(flag, [&] {
					std::this_thread::yield();
					if (++tried < 3) throw Bad(tried);
				});
			} catch (const Bad &) {
				thrown++;
			}
		});
	}
	for (auto &thread : threads) thread.join();
	return tried * 10 + thrown;
}
static int slow(int who)
{
	std::this_thread::sleep_for(1ms);
	return who;
}
extern "C" int statics()
{
	auto get = [](int who) {
		static int first = slow(who);
		return first;
	};
	std::vector<std::future<int>> results;
	for (int i = 1; i <= 5; i++) results.push_back(std::async(std::launch::async, get, i));
	int seen = 0, own = get(9);
	for (auto &result : results) seen += result.get() == own;
	return seen;
}

/* -- many, and how it goes wrong ---------------------------------------------------------------------------- */
extern "C" int many(int count)
{
	std::list<std::thread> threads;
	std::atomic<int> sum = 0;
	for (int i = 0; i < count; i++) threads.emplace_back([&, i] { sum += i; });
	for (auto &thread : threads) thread.join();
	return sum;
}
extern "C" int too_many(int limit)
{
	std::mutex mutex;
	std::unique_lock lock(mutex);
	std::list<std::thread> threads;
	int failed = 0;
	try {
		for (int i = 0; i < limit; i++) threads.emplace_back([&] { std::lock_guard wait(mutex); });
	} catch (const std::system_error &error) {
		failed = error.code() == std::errc::resource_unavailable_try_again ? 1 : -1;
	}
	lock.unlock();
	for (auto &thread : threads) thread.join();
	return failed;
}
extern "C" void each_waits_for_the_other()
{
	std::mutex one, two;
	std::thread other([&] {
		std::lock_guard first(two);
		std::this_thread::yield();
		std::lock_guard second(one);
	});
	std::lock_guard first(one);
	std::this_thread::yield();
	std::lock_guard second(two);
	other.join();
}
extern "C" int both_without_waiting(int rounds)
{
	std::mutex one, two;
	int count = 0;
	auto work = [&](std::mutex &a, std::mutex &b) {
		for (int i = 0; i < rounds; i++) {
			std::scoped_lock both(a, b);
			count++;
			if (i % 7 == 0) std::this_thread::yield();
		}
	};
	std::thread other(work, std::ref(two), std::ref(one));
	work(one, two);
	other.join();
	return count;
}
namespace {
struct counted {
	std::string text;
	std::atomic<int> &alive;
	counted(int n, std::atomic<int> &alive) : text(40, char('a' + n % 26)), alive(alive) { alive++; }
	~counted() { alive--; }
};
[[gnu::noinline]] int thrown_through(int depth, int n, std::atomic<int> &alive)
{
	counted one(n, alive);
	if (depth == 0) {
		if (n % 3 == 0) throw n;
		if (n % 3 == 1) throw std::runtime_error(one.text);
		return n;
	}
	return thrown_through(depth - 1, n, alive) + (int)one.text.size() - 40;
}
}
// Exceptions of three threads that are interrupted while they unwind.
extern "C" long thrown_at_once(int rounds)
{
	std::atomic<int> alive = 0;
	std::atomic<long> wrong = 0;
	auto work = [&](int begin) {
		for (int n = begin; n < begin + rounds; n++) {
			try {
				if (thrown_through(n % 5, n, alive) != n || n % 3 != 2) wrong++;
			} catch (int caught) {
				if (caught != n) wrong++;
			} catch (const std::exception &error) {
				if (error.what() != std::string(40, char('a' + n % 26))) wrong++;
			}
		}
	};
	std::thread one(work, 1000), other(work, 2000);
	work(3000);
	one.join();
	other.join();
	return wrong + alive;
}
