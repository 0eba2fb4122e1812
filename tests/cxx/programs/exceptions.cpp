#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>
extern "C" int host(int);
static int alive;
struct Counted { Counted() { alive++; } Counted(const Counted &) { alive++; } ~Counted() { alive--; } char bytes[100]; };
struct Odd { int x; };
struct Base { virtual ~Base() = default; int b = 1; };
struct Left : virtual Base { int l = 2; };
struct Right : virtual Base { int r = 3; };
struct Both : Left, Right { int x = 4; };
template <class T> struct Named : std::runtime_error { using runtime_error::runtime_error; };
static int __attribute__((noinline)) deep(int n) { Counted c; if (!n) throw Odd{7}; return deep(n - 1) + c.bytes[0]; }
static void __attribute__((noinline)) thrower(int kind) {
  Counted c;
  switch (kind) {
  case 0: throw 1; case 1: throw 2.5; case 2: throw "text"; case 3: throw std::string("str"); case 4: throw Both();
  case 5: throw new Both; case 6: throw std::out_of_range("oor"); case 7: throw std::vector<int>(1000, 5);
  }
}
extern "C" int caught(int kind) {
  Counted outside;
  try { thrower(kind); return 0; }
  catch (int i) { return i; }
  catch (double d) { return (int)(d * 100); }
  catch (const char *s) { return s[0]; }
  catch (const std::string &s) { return (int)s.size(); }
  catch (const Base &b) { return 1000 + b.b; }
  catch (const Right *r) { int v = 2000 + r->r; delete r; return v; }
  catch (const std::logic_error &e) { return e.what()[1]; }
  catch (...) { return -1; }
}
extern "C" int left_alive() { return alive; }
extern "C" int deeply(int n) { try { return deep(n); } catch (const Odd &o) { return o.x; } }
extern "C" int __attribute__((noinline)) registers(int n) {
  long a = n * 3, b = n * 5, c = n * 7, d = n * 11, e = n * 13; volatile int done = 0;
  for (int i = 0; i < n; i++) { try { if (i & 1) thrower(i & 7); a += i; b ^= a; } catch (...) { c += b; d -= c; e ^= d; done = done + 1; } }
  return (int)(a ^ b ^ c ^ d ^ e) + done;
}
extern "C" int again(int n) { try { try { thrower(0); } catch (int) { throw; } } catch (int i) { return i + n; } return 0; }
extern "C" int through_host(int n) { Counted c; try { return host(n); } catch (...) { return -99; } }
extern "C" int uncaught(int kind) {
  if (kind == 0) throw Named<int>("boom");
  if (kind == 1) throw Odd{1};
  if (kind == 2) { struct D { ~D() { throw 1; } } d; }
  if (kind == 3) std::terminate();
  if (kind == 4) throw Named<std::string>(std::string(1 << 20, 'x'));
  if (kind == 5) throw;
  if (kind == 6) [] () noexcept { throw Odd{2}; }();
  if (kind == 7) { struct D { ~D() noexcept(false) { throw 1; } }; try { D d; throw 2; } catch (...) {} }
  if (kind == 8) std::set_terminate([] { std::printf("mine\n"); std::exit(3); }), throw 1;
  return kind;
}
struct Endless { ~Endless() { Endless another; } };
extern "C" void endless() { Endless e; }
extern "C" int endless_throws(int n) { struct D { int n; ~D() { try { endless_throws(n + 1); } catch (int) {} } } d{n}; throw n; }
extern "C" int greedy() { try { std::vector<char> v; for (;;) v.resize(v.size() * 2 + (1 << 20)); } catch (const std::bad_alloc &) { return 1; } }
/* What an attacker has: the unwinder's last step, with a context of his own. */
extern "C" void __libunwind_Registers_x86_64_jumpto(void *);
extern "C" int __unw_getcontext(void *);
extern "C" void jump(unsigned long rip, unsigned long rsp) {
  unsigned long context[64] = {}; __unw_getcontext(context);
  context[16] = rip; if (rsp) context[7] = rsp;
  __libunwind_Registers_x86_64_jumpto(context);
}
static unsigned long outer;
extern "C" int nested(int n) {
  unsigned long context[64] = {}; __unw_getcontext(context); outer = context[7];
  try { return host(n); } catch (...) { return -99; }
}
extern "C" unsigned long outer_stack() { return outer; }
extern "C" unsigned long here() { return (unsigned long)&caught; }
extern "C" unsigned long middle() { return (unsigned long)&caught + 5; }
