"""What a stranger does first, with nothing installed but `tmebox[cc]`: compile, call, trap, use libc."""

from __future__ import annotations

import time

started = time.monotonic()

import tmebox  # noqa: E402

SOURCE = """
int add(int a, int b) { return a + b; }
int peek(long where) { return *(volatile int *)where; }
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
print(f"first result {first_s:.2f} s after that, with the C library after {time.monotonic() - started:.2f} s")
