"""What sandboxed code calls of the host, in words."""

from __future__ import annotations

from tmebox import abi
from tmebox.modulefile.file import ModuleFile
from tmebox.runtime.system.table import TABLE


def import_name(file: ModuleFile, index: int, first_argument: int) -> str:
    """By an import's number and the first argument of the call, both of which code can forge."""
    if index >= len(file.imports):
        return "a host call"
    name = file.imports[index].name
    if name == abi.SYSCALL_IMPORT:
        call = TABLE.get(first_argument)
        return f"system call {call.name if call else first_argument}"
    if name == abi.SHARED_IMPORT:
        return "a call of the shared heap"
    return f"host function {name}()"
