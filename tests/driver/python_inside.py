"""Runs inside the virtual machine: the first calls of a sandbox there."""

import time

start = time.monotonic()
import numpy as np  # noqa: E402

import tmebox  # noqa: E402

print(f"count seconds to import tmebox: {time.monotonic() - start:.1f}")
module = tmebox.Module.load("/extra/files/spin.tbx")
with tmebox.Sandbox(module) as sandbox:
    assert sandbox.add(3, 4) == 7
    assert sandbox.sum(np.arange(1000.0), 1000) == 499500
    print("ok python a sandbox is called", flush=True)
    try:
        sandbox.crash()
    except tmebox.MemoryFault:
        print("ok python a trap is an exception", flush=True)
