"""What a stranger does first, with nothing but `tmebox[cc]` installed: compile, call, trap, use libc, C++."""

from __future__ import annotations

import time

started = time.monotonic()

import tmebox  # noqa: E402

SOURCE = """
int add(int a, int b) { return a + b; }
int peek(long where) { return *(volatile int *)where; }
"""
CXX = """
#include <stdexcept>
#include <string>
extern "C" int caught(int n) {
    try {
        if (n > 3) throw std::out_of_range(std::to_string(n));
    } catch (const std::out_of_range &error) { return std::stoi(error.what()); }
    return 0;
}
"""
LENGTH = "#include <string.h>\nunsigned long length(const char *text) { return strlen(text); }"

module = tmebox.compile(source_text=SOURCE)
with tmebox.Sandbox(module, timeout=10) as sandbox:
    assert sandbox.add(2, 3) == 5
    first_s = time.monotonic() - started
    try:
        sandbox.peek(16)
    except tmebox.MemoryFault:
        pass
    else:
        raise SystemExit("a null page that can be read")
with tmebox.Sandbox(tmebox.compile(source_text=LENGTH)) as sandbox:
    assert sandbox.length(b"sandbox") == 7
with_libc_s = time.monotonic() - started
with tmebox.Sandbox(tmebox.compile(source_text=CXX, language="c++")) as sandbox:
    assert [sandbox.caught(3), sandbox.caught(77)] == [0, 77]
with_cxx_s = time.monotonic() - started
print(
    f"first result {first_s:.2f} s after that, with the C library after {with_libc_s:.2f} s, "
    f"with C++'s after {with_cxx_s:.2f} s"
)
