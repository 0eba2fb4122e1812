# What a debugger shows of a process that runs sandboxes, made readable: see docs/debugging.md.
#
#   gdb -x tools/tmebox.gdb --args .venv/bin/python program.py
#
# tmebox where [ADDRESS]    what lies there; without one, where pc and the stack pointer are

# They are the core's: pages are installed at a fault, traps are faults, and the watchdog interrupts with the
# highest real-time signal that is free, mostly 63. SIGILL is also sent where no room for that one is left.
handle SIGSEGV SIGBUS SIGILL SIG63 nostop noprint pass

python
import ast
import operator
import os
from typing import Any, NamedTuple

import gdb

MASK = (1 << 64) - 1
# With the base in r15; with the base in gs a byte is TARGET_FUNCTION or one of LABEL_MARKS.
TARGETS = {"TARGET_RETURN": "return", "TARGET_FUNCTION": "function", "TARGET_LABEL": "label"}
# Of the gate page beyond abi.py: as in native/enter/activation.h.
CORE_GATES = {
    0x80: "return from a host call, base in r15",
    0xC0: "return from a host call, unchecked",
    0x100: "on the way to one of these, for an interrupt that came before",
    0x120: "where no thread returns to",
    0x140: "where the gates lead to: two pointers",
}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}


class Mapping(NamedTuple):
    start: int
    end: int
    rights: str
    path: str


def mappings() -> list[Mapping]:
    """What the process has mapped, in order."""
    process = gdb.selected_inferior().pid
    if not process:
        raise gdb.GdbError("tmebox: there is no process; `run` or `attach` first")
    found = []
    with open(f"/proc/{process}/maps") as lines:
        for line in lines:
            extent, rights, _, _, _, *path = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in extent.split("-"))
            found.append(Mapping(start, end, rights, path[0].strip() if path else ""))
    return found


def numbers(mapped: list[Mapping]) -> dict[str, Any]:
    """The numbers of the abi.py that the process itself has. It is read and not run: the process may be
    somebody else's."""
    core = next((m.path for m in mapped if os.path.basename(m.path).startswith("_native.")), None)
    if core is None:
        raise gdb.GdbError("tmebox: the process has not loaded tmebox (yet)")
    known: dict[str, Any] = {}
    with open(os.path.join(os.path.dirname(core), "abi.py")) as source:
        for node in ast.parse(source.read()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                value = numbers_of(node.value, known)
                if value is not None:
                    known[node.targets[0].id] = value
    return known


def numbers_of(node: ast.AST, known: "dict[str, Any]") -> "int | list[int] | None":
    """Of what is one number, or several."""
    if not isinstance(node, ast.Tuple):
        return value_of(node, known)
    values = [value_of(element, known) for element in node.elts]
    return None if None in values else values


def value_of(node: ast.AST, known: dict[str, Any]) -> "int | None":
    """Of a number, a name, or a sum and the like of both; None: it is something else."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = value_of(node.operand, known)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = value_of(node.left, known), value_of(node.right, known)
        return None if left is None or right is None else OPERATORS[type(node.op)](left, right)
    return None


def word_at(address: int, size_bytes: int = 8) -> "int | None":
    """None: nothing is there, or not yet."""
    try:
        return int.from_bytes(gdb.selected_inferior().read_memory(address, size_bytes), "little")
    except gdb.MemoryError:
        return None


def whole_area(mapped: list[Mapping], address: int) -> "tuple[int, int] | None":
    """Around the address, all that is mapped without a hole."""
    start = end = None
    for mapping in mapped:
        if mapping.start != end:
            if end is not None and start <= address < end:
                break
            start = mapping.start
        end = mapping.end
    return (start, end) if end is not None and start <= address < end else None


def gate(address: int, abi: dict[str, Any]) -> str:
    names = {
        abi["GATE_HOSTCALL"]: "host-call gate",
        abi["GATE_EXIT"] - 3: "the call that enters a sandbox",
        abi["GATE_EXIT"]: "exit gate",
        **{abi["GATE_BASE"] + offset: name for offset, name in CORE_GATES.items()},
    }
    start = max(known for known in names if known <= address)
    behind = f", {address - start:#x} behind its start" if address > start else ""
    return f"gate page, {names[start]}{behind}"


def code(address: int, mapping: "Mapping | None") -> str:
    if mapping is None or "x" not in mapping.rights:
        return "code region, no text here"
    return f"code region, text mapped at {mapping.start:#x}, offset {address - mapping.start:#x}"


def target(address: int, abi: dict[str, Any]) -> str:
    place = address - abi["TARGET_MAP"]
    byte = word_at(address, 1)
    shift = abi["TARGET_R15_SHIFT"]
    kinds = [
        f"{name} (base in r15)" for key, name in TARGETS.items() if byte is not None and byte & abi[key] << shift
    ]
    if byte == abi["TARGET_FUNCTION"]:
        kinds = ["function (base in gs)"]
    elif byte in abi["LABEL_MARKS"]:
        depth = abi["LABEL_DEPTHS"][abi["LABEL_MARKS"].index(byte)]
        kinds = [f"label of depth {depth} (base in gs)"]
    if byte is None:
        return f"target map of {place:#x}: nothing is there"
    return f"target map of {place:#x}: {', '.join(kinds) or 'no target'}"


def part_of_window(base: int, offset: int, abi: dict[str, Any]) -> str:
    heap = word_at(base + abi["CONTROL_HEAP_START"]) or abi["PRIVATE_END"]
    parts = [
        (0, "guard below the stack"),
        (abi["STACK_LOWEST"], "stack"),
        (abi["CONTROL_PAGE"], "control page"),
        (abi["IMAGE_START"], "data image"),
        (heap, "heap"),
        (abi["PRIVATE_END"], "guard"),
        (abi["ARENA_START"], "arena"),
        (abi["ARENA_END"], "guard"),
        (abi["SHARED_START"], "room for the shared heap"),
        (abi["SHARED_END"], "guard"),
    ]
    return [name for start, name in parts if start <= offset][-1]


def window(address: int, mapped: list[Mapping], abi: dict[str, Any]) -> "str | None":
    """None: there is none. Windows are aligned, with guards mapped around each row of them."""
    area = whole_area(mapped, address)
    base = address // abi["WINDOW_SIZE"] * abi["WINDOW_SIZE"]
    guard = abi["GUARD"]
    if area is None or area[0] > base - guard or area[1] < base + abi["WINDOW_SIZE"] + guard:
        return None
    offset = address - base
    # The control page says it, but may not have been touched yet.
    said = word_at(base + abi["CONTROL_WINDOW_BASE"])
    used = said == base or (said is None and word_at(address, 1) is not None)
    doubt = "" if used else "; nothing is there yet, or it is nobody's"
    return f"window at {base:#x}, offset {offset:#x} ({part_of_window(base, offset, abi)}){doubt}"


def control_stack(address: int, mapped: list[Mapping], abi: dict[str, Any]) -> "str | None":
    """None: there is none. Each has the beginning of 4 or 8 GiB of addresses, and nothing mapped around it."""
    start, end = whole_area(mapped, address) or (0, 0)
    distance = abi["TWIN_DISTANCE"]
    before = distance // abi["PAGE_SIZE"] * abi["PAGE_SIZE"] + abi["PAGE_SIZE"]
    sizes = [before + abi[last] + abi["GUARD"] for last in ("PRIVATE_END", "SHARED_END")]
    if not start or start % abi["WINDOW_SIZE"] or end - start not in sizes:
        return None
    if address < start + distance:
        return "guard below a control stack"
    return f"control stack at {start:#x}; its twin in the window is at offset {address - start - distance:#x}"


def describe(address: int) -> str:
    mapped = mappings()
    abi = numbers(mapped)
    mapping = next((m for m in mapped if m.start <= address < m.end), None)
    if abi["GATE_BASE"] <= address < abi["CODE_END"]:
        return gate(address, abi)
    if abi["CODE_BASE"] <= address < abi["CODE_END"]:
        return code(address, mapping)
    if abi["TARGET_MAP"] + abi["CODE_BASE"] <= address < abi["TARGET_MAP"] + abi["CODE_END"]:
        return target(address, abi)
    if abi["TARGET_MAP"] <= address < abi["TARGET_MAP_END"]:
        return "target map, of no code"
    if mapping is None:
        return "nothing is mapped there"
    found = None if mapping.path else window(address, mapped, abi) or control_stack(address, mapped, abi)
    return found or f"the host's: {mapping.path or 'memory without a file'}, {mapping.rights[:3]}"


class Tmebox(gdb.Command):
    """Commands for processes that run sandboxes: tmebox where [ADDRESS]."""

    def __init__(self) -> None:
        super().__init__("tmebox", gdb.COMMAND_STATUS, prefix=True)


class Where(gdb.Command):
    """What lies at an address of a process that runs sandboxes. ADDRESS is any expression.

usage: tmebox where [ADDRESS]

Without one: where the selected frame's pc and stack pointer are."""

    def __init__(self) -> None:
        super().__init__("tmebox where", gdb.COMMAND_STATUS, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        for name, expression in [("", argument)] if argument else [("pc ", "$pc"), ("rsp ", "$rsp")]:
            address = int(gdb.parse_and_eval(f"(unsigned long)({expression})")) & MASK
            print(f"{name}{address:#x}: {describe(address)}")


Tmebox()
Where()
end
