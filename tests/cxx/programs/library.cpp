#include <algorithm>
#include <any>
#include <array>
#include <bitset>
#include <charconv>
#include <chrono>
#include <complex>
#include <deque>
#include <exception>
#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <typeinfo>
#include <unordered_map>
#include <variant>
#include <vector>
struct Base { virtual ~Base() { std::cout << "~Base\n"; } virtual int f() const { return 1; } };
struct Left : virtual Base { int f() const override { return 2; } };
struct Right : virtual Base { int g = 7; };
struct Both : Left, Right { ~Both() override { std::cout << "~Both\n"; } int f() const override { return 3; } };
struct Guard { const char *n; ~Guard() { std::cout << "guard " << n << "\n"; } };
int depth(int n) { Guard g{"d"}; if (n == 0) throw std::out_of_range("deep"); return depth(n - 1) + 1; }
static Guard global{"global"};
thread_local Guard tl{"tls"};
int once() { static int x = [] { std::cout << "once\n"; return 5; }(); return x; }
struct Ctor { Guard a{"member"}; Ctor() { throw 42; } };
int main() {
  Both b; Base &r = b;
  std::cout << r.f() << " " << typeid(r).name() << " " << (dynamic_cast<Right *>(&r) ? dynamic_cast<Right &>(r).g : -1) << "\n";
  try { depth(3); } catch (const std::logic_error &e) { std::cout << "caught " << e.what() << "\n"; }
  try { try { throw std::runtime_error("inner"); } catch (...) { std::throw_with_nested(std::runtime_error("outer")); } }
  catch (const std::exception &e) { std::cout << e.what(); try { std::rethrow_if_nested(e); } catch (const std::exception &i) { std::cout << " <- " << i.what() << "\n"; } }
  try { Ctor c; } catch (int i) { std::cout << "int " << i << "\n"; }
  try { std::vector<int> v; v.at(3); } catch (const std::exception &e) { std::cout << e.what() << "\n"; }
  std::thread t([] { std::cout << "thread\n"; }); t.join();
  std::exception_ptr p; try { throw 3.5; } catch (...) { p = std::current_exception(); }
  try { std::rethrow_exception(p); } catch (double d) { std::cout << d << "\n"; }
  std::map<std::string, std::vector<int>> m{{"a", {3, 1, 2}}}; std::ranges::sort(m["a"]);
  for (auto &[k, v] : m) { std::cout << k; for (int x : v) std::cout << ' ' << x; std::cout << "\n"; }
  std::cout << std::format("{:>8} {:.3f} {:#x}", "fmt", 3.14159, 255) << "\n";
  std::regex re("(\\w+)@(\\w+)"); std::smatch sm; std::string s = "me@host"; std::cout << std::regex_match(s, sm, re) << sm[2] << "\n";
  std::variant<int, std::string> v = "x"; std::cout << std::get<1>(v) << "\n";
  try { (void)std::get<0>(v); } catch (const std::bad_variant_access &e) { std::cout << e.what() << "\n"; }
  std::any a = 5; try { std::any_cast<long>(a); } catch (const std::bad_any_cast &e) { std::cout << e.what() << "\n"; }
  std::function<int(int)> fn = [&](int x) { return x + once(); }; std::cout << fn(1) << fn(2) << "\n";
  std::unordered_map<int, int> um; for (int i = 0; i < 1000; i++) um[i * 7919] = i; std::cout << um.size() << "\n";
  std::shared_ptr<Base> sp = std::make_shared<Both>(); std::weak_ptr<Base> w = sp; sp.reset(); std::cout << w.expired() << "\n";
  std::stringstream ss; ss << std::hex << std::setw(6) << std::setfill('0') << 255 << " " << 1.5e300; std::cout << ss.str() << "\n";
  try { std::stoi("zz"); } catch (const std::invalid_argument &e) { std::cout << e.what() << "\n"; }
  std::cout << &tl.n[0] << "\n";
  std::cout << std::filesystem::path("/a/b/../c").lexically_normal() << "\n";
  std::vector<std::unique_ptr<int>> vu; for (int i = 0; i < 100; i++) vu.push_back(std::make_unique<int>(i));
  std::cout << std::accumulate(vu.begin(), vu.end(), 0, [](int a, auto &p) { return a + *p; }) << std::endl;
  std::cout << std::chrono::duration_cast<std::chrono::seconds>(std::chrono::hours(1)).count() << "\n";
}
