"""How long a host function may still take. Host code is not interrupted: it could leave things half done."""

from __future__ import annotations

from tmebox import _native


def remaining_time() -> float | None:
    """Seconds that the sandbox's call which this host function is part of may still take; 0.0 if it is late,
    None without a time limit, or outside of calls. Exact to about 10 ms.

    Host code is never interrupted: a call that is late ends when its host function returns. One that waits
    for something should wait no longer than this: `queue.get(timeout=tmebox.remaining_time())`.
    """
    return _native.remaining_time()
