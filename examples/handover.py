"""python examples/handover.py: stages, each in a sandbox of its own, that hand over an image uncopied."""

from pathlib import Path

import numpy as np

import tmebox

module = tmebox.compile(Path(__file__).with_name("handover.c"))
with (
    tmebox.SharedHeap("64MiB") as heap,
    tmebox.Sandbox(module, heap=heap, timeout=5.0) as inverting,
    tmebox.Sandbox(module, heap=heap, timeout=5.0) as darkening,
):
    image = heap.array((1080, 1920), np.uint8, owner=inverting)
    image[:] = np.arange(1920) % 256
    inverting.invert(image, image.size)
    heap.transfer(image, to=darkening)
    darkening.darken(image, image.size)
    heap.revoke(image)
    print("first pixels:", image[0, :4], "owner:", heap.owner_of(image))
    try:
        darkening.darken(image, image.size)
    except tmebox.IntegrityViolation as violation:
        print("stopped:", violation.message)
