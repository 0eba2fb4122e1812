"""python examples/decoder/decoder.py: an image decoder that writes too far, natively and in a sandbox.

Beside the image lies something of the program's: who may do what. Natively, an image with a few pixels too
many changes it, and one with many ends the process. In a sandbox the decoder has a copy of the image's memory
and nothing beside it. What it writes there too far is its own, or a trap.
"""

import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tmebox

SOURCE = Path(__file__).with_name("decoder.c")
SIDE = 16
PIXELS = SIDE * SIDE
GUEST, ADMIN = b"guest\0", b"admin\0"
Decode = Callable[[bytes], int]


def image(*runs: tuple[int, int]) -> bytes:
    """(count, grey) → a file of SIDE x SIDE pixels, if the counts are right."""
    return b"RUN" + bytes([SIDE, SIDE]) + b"".join(bytes(run) for run in runs)


HONEST = image((128, 0), (128, 255))
CUNNING = image((128, 0), (128, 255), *((1, letter) for letter in ADMIN))
GREEDY = image(*[(255, 255)] * 4_000_000)


class Program(ctypes.Structure):
    """The program's memory: an image, and who may do what."""

    _fields_ = (("image", ctypes.c_uint8 * PIXELS), ("role", ctypes.c_char * 16))


def native(library: Path) -> tuple[Program, Decode]:
    """The decoder in the program's own memory, as of any library."""
    program, functions = Program(role=GUEST), ctypes.CDLL(str(library))

    def decode(file: bytes) -> int:
        return int(functions.decode(file, ctypes.c_size_t(len(file)), program.image))

    return program, decode


def confined() -> tuple[Program, Decode]:
    """The decoder in a sandbox, which a trap resets: the next image finds it as new."""
    program = Program(role=GUEST)
    sandbox = tmebox.Sandbox(tmebox.compile(SOURCE), timeout=5.0)

    def decode(file: bytes) -> int:
        pixels = np.frombuffer(program.image, np.uint8)
        try:
            return int(sandbox.decode(file, len(file), pixels))
        except tmebox.Trap as trap:
            print("stopped:", str(trap).splitlines()[0])
            sandbox.reset()
            return -1

    return program, decode


def build(directory: Path) -> Path:
    """The decoder as a native library."""
    library = directory / "decoder.so"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-O1", "-fno-sanitize=undefined"]
    subprocess.run([*compiler, str(SOURCE), "-o", str(library)], check=True)
    return library


def main(words: list[str]) -> None:
    if words:  # the process that may end
        program, decode = native(Path(words[0]))
        decode(GREEDY)
        return
    with tempfile.TemporaryDirectory() as directory:
        library = build(Path(directory))
        program, decode = native(library)
        decode(CUNNING)
        print("natively, a cunning image:", program.role.decode())
        ended = subprocess.run([sys.executable, __file__, str(library)], check=False).returncode
        print("natively, a greedy image:", f"the process dies of signal {-ended}")
    program, decode = confined()
    decode(CUNNING)
    print("confined, a cunning image:", program.role.decode())
    decode(GREEDY)
    decode(HONEST)
    print("confined, an honest image:", bytes(program.image[126:130]).hex())


if __name__ == "__main__":
    main(sys.argv[1:])
