"""The process that `os.fork` is measured in: it reads how often to fork, and writes the seconds each took.

Run as a file of its own: what a forked process costs depends on what its parent has loaded, so this one loads
nothing but the functions.
"""

import ctypes
import os
import sys
import time

CALLS = {"trivial": ("add", (3, 4), 7), "stdio": ("greet", (7,), 14), "lua": ("answer", (42,), 42)}


def main(name: str, path: str) -> None:
    library = ctypes.CDLL(path)
    if name == "lua" and library.prepare():
        raise SystemExit("Lua does not start")
    export, arguments, wanted = CALLS[name]
    function = getattr(library, export)
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        times = int(line)
        start_ns = time.perf_counter_ns()
        for _ in range(times):
            child = os.fork()
            if not child:
                os._exit(function(*arguments) != wanted)
            if os.waitpid(child, 0)[1]:
                raise SystemExit("a child answers wrongly")
        os.write(answers, f"{(time.perf_counter_ns() - start_ns) / times / 1e9}\n".encode())


main(*sys.argv[1:])
