"""Random C signatures with values, as source that checks them itself: the compiler is the oracle of how they
are passed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

INTEGERS = {
    "signed char": (8, True), "unsigned char": (8, False), "char": (8, True), "short": (16, True),
    "unsigned short": (16, False), "int": (32, True), "unsigned": (32, False), "long": (64, True),
    "unsigned long": (64, False), "__int128": (128, True), "unsigned __int128": (128, False),
}  # fmt: skip
FLOATS = {"float": "f", "double": "", "_Float16": "f16", "long double": "l"}
VECTORS = {
    "v4f": ("float", 4),
    "v2d": ("double", 2),
    "v4i": ("int", 4),
    "v2f": ("float", 2),
    "v8s": ("short", 8),
}
OTHERS = ("_Bool", "void *", "float _Complex", "double _Complex", "enum color")
ATTRIBUTES = (
    "",
    "",
    "",
    "",
    "__attribute__((packed))",
    "__attribute__((aligned(8)))",
    "__attribute__((aligned(16)))",
)


@dataclass
class Made:
    """A type. `declare(name)` is how C declares a variable of it."""

    name: str
    kind: str
    members: list[tuple[str, Made]] = field(default_factory=list)
    bits: int = 0
    count: int = 0

    def declare(self, name: str) -> str:
        if self.kind == "array":
            return self.members[0][1].declare(f"{name}[{self.count}]")
        width = f" : {self.bits}" if self.bits else ""
        return f"{self.name}{'' if self.name.endswith('*') else ' '}{name}{width}"

    def holds(self, name: str) -> bool:
        return self.name == name or any(made.holds(name) for _, made in self.members)


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.definitions = ["enum color { RED, BLUE = 7 };"]
        for name, (element, count) in VECTORS.items():
            self.definitions.append(
                f"typedef {element} {name} __attribute__((vector_size({count} * sizeof({element}))));"
            )
        self.named = 0

    def scalar(self) -> Made:
        if self.random.random() < 0.1:
            name, (element, count) = self.random.choice(list(VECTORS.items()))
            return Made(name, "vector", [("", Made(element, "scalar"))], count=count)
        name = self.random.choice([*INTEGERS, *FLOATS, *FLOATS, *OTHERS, "float", "double", "long", "int"])
        return Made(name, "scalar")

    def type(self, depth: int = 2) -> Made:
        if self.random.random() < 0.4:
            return self.scalar()
        return self.aggregate(depth)

    def member(self, depth: int) -> Made:
        roll = self.random.random()
        if depth and roll < 0.2:
            return self.aggregate(depth - 1)
        if roll < 0.35:
            inner = self.aggregate(depth - 1) if depth and self.random.random() < 0.3 else self.scalar()
            return Made("", "array", [("", inner)], count=self.random.randint(1, 4))
        if roll < 0.55:
            name = self.random.choice([name for name in INTEGERS if "128" not in name] + ["_Bool"])
            limit = 1 if name == "_Bool" else INTEGERS[name][0]
            return Made(name, "bits", bits=self.random.randint(1, limit))
        return self.scalar()

    def aggregate(self, depth: int) -> Made:
        keyword = "union" if self.random.random() < 0.15 else "struct"
        self.named += 1
        name = f"{keyword} t{self.named}"
        count = self.random.choice([0, 1, 1, 2, 2, 2, 3, 4] if keyword == "struct" else [1, 2, 3])
        members: list[tuple[str, Made]] = []
        body = []
        for index in range(count):
            made = self.member(depth)
            members.append((f"m{index}", made))
            align = self.random.choice(["", "", "", "", "", "_Alignas(8) ", "_Alignas(16) "])
            align = "" if made.kind == "bits" or self._is_large(made) else align
            body.append(f"{align}{made.declare(f'm{index}')};")
            if self.random.random() < 0.05:
                body.append("int : 5;")
        self.definitions.append(f"{name} {{ {' '.join(body)} }} {self.random.choice(ATTRIBUTES)};")
        return Made(name, keyword, members)

    @staticmethod
    def _is_large(made: Made) -> bool:
        """Whether a smaller alignment than its own would not compile."""
        return made.kind != "scalar" or "128" in made.name or made.name == "long double"

    # -- values ----------------------------------------------------------------------------------
    def value(self, made: Made) -> Any:
        if made.kind in ("array", "vector"):
            return [self.value(made.members[0][1]) for _ in range(made.count)]
        if made.kind == "struct":
            return {name: self.value(member) for name, member in made.members}
        if made.kind == "union":
            name, member = self.random.choice(made.members)
            return {name: self.value(member)}
        return self._scalar_value(made)

    def _scalar_value(self, made: Made) -> Any:
        if made.name in INTEGERS:
            bits, signed = INTEGERS[made.name]
            bits = made.bits or bits
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            return self.random.choice([low, high, *(self.random.randint(low, high) for _ in range(3))])
        if made.name in FLOATS:
            return float(self.random.randint(-2000, 2000)) / 4
        if made.name.endswith("_Complex"):
            return complex(self.random.randint(-99, 99) / 2, self.random.randint(-99, 99) / 4)
        if made.name == "_Bool":
            return self.random.random() < 0.5
        return (
            self.random.choice([0, 7]) if made.name == "enum color" else self.random.randint(0, (1 << 32) - 1)
        )


def leaves(made: Made, value: Any, path: str) -> Iterator[tuple[str, Made, Any]]:
    """(how C names it, its type, its value) of each scalar."""
    if made.kind in ("array", "vector"):
        for index, item in enumerate(value):
            yield from leaves(made.members[0][1], item, f"{path}[{index}]")
    elif made.kind in ("struct", "union"):
        for name, member in made.members:
            if name in value:
                yield from leaves(member, value[name], f"{path}.{name}")
    else:
        yield path, made, value


def literal(made: Made, value: Any) -> str:
    if made.name in INTEGERS:
        bits = value & ((1 << 128) - 1)
        whole = f"((unsigned __int128){bits >> 64:#x}ul << 64 | {bits & (1 << 64) - 1:#x}ul)"
        return f"({made.name}){whole}"
    if made.name in FLOATS:
        return f"({made.name}){value!r}"
    if made.name.endswith("_Complex"):
        return f"({made.name})({value.real!r} + {value.imag!r} * 1.0i)"
    if made.name == "void *":
        return f"(void *){value:#x}ul"
    return str(int(value))


def setting(made: Made, value: Any, name: str) -> str:
    """Statements that declare a variable with the value."""
    lines = [f"{made.declare(name)}; __builtin_memset(&{name}, 0, sizeof {name});"]
    lines += [f"{path} = {literal(leaf, v)};" for path, leaf, v in leaves(made, value, name)]
    return " ".join(lines)


def checking(made: Made, value: Any, name: str, number: int) -> str:
    """Statements that return a number above 0 if the variable has another value."""
    return " ".join(
        f"if ({path} != {literal(leaf, v)}) return {number * 100 + index};"
        for index, (path, leaf, v) in enumerate(leaves(made, value, name), 1)
    )


def same(made: Made, got: Any, value: Any) -> bool:
    """Whether what Python got is the value, as far as that says."""
    if made.kind == "array" and not any(leaves(made, value, "")) and len(got) == 0:
        return True  # modules have no items that take no room
    if made.kind in ("array", "vector"):
        return len(got) == len(value) and all(
            same(made.members[0][1], one, other) for one, other in zip(got, value, strict=True)
        )
    if made.kind in ("struct", "union"):
        return all(
            same(member, getattr(got, name), value[name]) for name, member in made.members if name in value
        )
    return bool(got == value) and isinstance(got, (int, float, complex, np.longdouble))


@dataclass
class Signature:
    """One function's types and values."""

    number: int
    parameters: list[tuple[Made, Any]]
    result: tuple[Made, Any]

    def source(self) -> str:
        n = self.number
        declared = ", ".join(made.declare(f"p{i}") for i, (made, _) in enumerate(self.parameters)) or "void"
        checks = " ".join(checking(made, v, f"p{i}", i + 1) for i, (made, v) in enumerate(self.parameters))
        sets = " ".join(setting(made, v, f"p{i}") for i, (made, v) in enumerate(self.parameters))
        names = ", ".join(f"p{i}" for i in range(len(self.parameters)))
        made, value = self.result
        got = checking(made, value, "got", 9)
        return f"""
        int take{n}({declared}) {{ {checks} return 0; }}
        {made.declare(f"give{n}(void)")} {{ {setting(made, value, "v")} return v; }}
        {made.declare(f"host{n}({declared})")};
        int pass{n}(void) {{ {sets} {made.declare("got")} = host{n}({names}); {got} return 0; }}
        typedef {made.declare(f"fn{n}({declared})")};
        fn{n} *volatile pointer{n} = host{n};
        int callback{n}(void) {{ {sets} {made.declare("got")} = pointer{n}({names}); {got} return 0; }}
        """


def signatures(seed: int, count: int) -> tuple[list[Signature], str]:
    """They, and the source with all of them."""
    generator = Generator(seed)
    found = []
    for number in range(count):
        parameters = [generator.type() for _ in range(generator.random.choice([1, 2, 3, 5, 8, 12]))]
        result = generator.type()
        given = [(made, generator.value(made)) for made in parameters]
        found.append(Signature(number, given, (result, generator.value(result))))
    bodies = [signature.source() for signature in found]
    return found, "\n".join([*generator.definitions, *bodies])
