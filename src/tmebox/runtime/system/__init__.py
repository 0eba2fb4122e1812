"""The host side of system calls: what sandboxed code can reach of the world, which is what it was given.

Everything a guest names is looked up in tables of ours: file descriptors (`descriptors`), paths beneath
granted directories (`paths`), clocks, random bytes, streams. Nothing is passed on to the kernel as it came.
Unknown calls are -ENOSYS.
"""

from tmebox.runtime.system.calls import Abort, Exit, GuestMemory
from tmebox.runtime.system.clock import Clock
from tmebox.runtime.system.paths import Directory
from tmebox.runtime.system.system import System

__all__ = ["Abort", "Clock", "Directory", "Exit", "GuestMemory", "System"]
