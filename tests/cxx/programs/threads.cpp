// C++ threads in turn.
#include <atomic>
#include <barrier>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <latch>
#include <mutex>
#include <queue>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int failed;
#define CHECK(condition) \
	do { \
		if (!(condition)) std::fprintf(stderr, "%d: %s\n", __LINE__, #condition), failed++; \
	} while (0)

static int destroyed;
struct Counted {
	int value = 3;
	~Counted() { destroyed++; }
};
static thread_local Counted counted;
static thread_local std::string text = "begin";

class Pool {
public:
	explicit Pool(int count)
	{
		for (int i = 0; i < count; i++) threads.emplace_back([this] { work(); });
	}
	~Pool()
	{
		{
			std::lock_guard guard(mutex);
			over = true;
		}
		changed.notify_all();
		for (auto &thread : threads) thread.join();
	}
	template <class F> auto submit(F function) -> std::future<decltype(function())>
	{
		auto task = std::make_shared<std::packaged_task<decltype(function())()>>(std::move(function));
		auto result = task->get_future();
		{
			std::lock_guard guard(mutex);
			tasks.push([task] { (*task)(); });
		}
		changed.notify_one();
		return result;
	}

private:
	void work()
	{
		for (;;) {
			std::unique_lock lock(mutex);
			changed.wait(lock, [this] { return over || !tasks.empty(); });
			if (tasks.empty()) return;
			auto task = std::move(tasks.front());
			tasks.pop();
			lock.unlock();
			task();
		}
	}
	std::mutex mutex;
	std::condition_variable changed;
	std::queue<std::function<void()>> tasks;
	std::vector<std::thread> threads;
	bool over = false;
};

int main()
{
	{
		Pool pool(4);
		std::vector<std::future<int>> results;
		for (int i = 0; i < 100; i++) {
			results.push_back(pool.submit([i] {
				counted.value += i;
				text += 'x';
				std::this_thread::yield();
				if (i % 10 == 9) throw std::runtime_error("number " + std::to_string(i));
				return i;
			}));
		}
		int sum = 0, thrown = 0;
		for (auto &result : results) {
			try {
				sum += result.get();
			} catch (const std::runtime_error &error) {
				thrown += std::string(error.what()).starts_with("number ");
			}
		}
		CHECK(sum == 4950 - 540 && thrown == 10);
	}
	CHECK(destroyed == 4 && counted.value == 3 && text == "begin");

	auto asynchronous = std::async(std::launch::async, [] { return std::this_thread::get_id(); });
	CHECK(asynchronous.get() != std::this_thread::get_id());
	std::promise<int> promise;
	std::thread keeps([&] { promise.set_value(5); });
	CHECK(promise.get_future().get() == 5);
	keeps.join();

	std::atomic<int> flag = 0;
	std::thread waits([&] { flag.wait(0); flag = 2; });
	std::this_thread::sleep_for(std::chrono::milliseconds(2));
	flag = 1;
	flag.notify_all();
	waits.join();
	CHECK(flag == 2);

	std::latch latch(3);
	std::barrier barrier(3);
	std::counting_semaphore<8> semaphore(0);
	std::shared_mutex shared;
	std::once_flag once;
	int onces = 0, inside = 0;
	std::atomic<bool> stop = false;
	std::vector<std::thread> threads;
	for (int i = 0; i < 3; i++) {
		threads.emplace_back([&] {
			std::call_once(once, [&] { onces++; });
			latch.arrive_and_wait();
			barrier.arrive_and_wait();
			{
				std::shared_lock lock(shared);
				inside++;
				std::this_thread::yield();
			}
			semaphore.release();
			while (!stop) std::this_thread::yield();
		});
	}
	for (int i = 0; i < 3; i++) semaphore.acquire();
	CHECK(!semaphore.try_acquire_for(std::chrono::milliseconds(1)));
	stop = true;
	for (auto &thread : threads) thread.join();
	CHECK(onces == 1 && inside == 3);

	std::recursive_timed_mutex timed;
	timed.lock();
	std::thread tries([&] { CHECK(!timed.try_lock_for(std::chrono::milliseconds(2))); });
	tries.join();
	CHECK(std::thread::hardware_concurrency() == 1);
	std::puts("done");
	return failed;
}
