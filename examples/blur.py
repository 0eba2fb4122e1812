"""python examples/blur.py: a C function, sandboxed, on a NumPy array that lives inside the sandbox."""

from pathlib import Path

import numpy as np

import tmebox

module = tmebox.compile(Path(__file__).with_name("blur.c"))
with tmebox.Sandbox(module, memory="64MiB", timeout=1.0) as sandbox:
    height, width = 480, 640
    image = sandbox.array((height, width), np.uint8)
    blurred = sandbox.array((height, width), np.uint8)
    image[:] = np.indices((height, width)).sum(axis=0) % 32 * 8
    sandbox.blur(image, blurred, width, height, 3)
    print(f"standard deviation before {image.std():.1f}, after {blurred.std():.1f}")
