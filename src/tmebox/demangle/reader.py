"""Reading a mangled name (Itanium C++ ABI, section 5.1).

Names come from untrusted modules. So work, nesting and what is written are bounded, and a name that this
does not understand, expressions among template arguments say, stays as it is. Tags of ABI versions are left
out.
"""

from __future__ import annotations

import re

from tmebox.demangle.tables import BUILTIN, DIGITS, LONGEST_NAME, OPERATORS, SPECIAL, STANDARD, SUFFIXES

_DEEPEST = 64
MOST_STEPS = 20_000

_REFERENCE_TO_ARRAY = re.compile(r"\(&+\)(\[\d*\])+\Z")

_Type = tuple[str, str]
"""What stands before and after a declared name: `int (*` and `)(char)`."""


class Unknown(Exception):
    """A name that is none, or that is not understood."""


class Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.steps = 0
        self._depth = 0
        self._substitutions: list[_Type] = []
        self._arguments: list[str | list[str]] = []
        """Of the function's template; a list for a pack."""
        self._element: int | None = None
        self._pack_length = 0
        """Which element of the packs in an expansion is meant, and how many the last one had."""

    # -- reading ---------------------------------------------------------------------------------
    def _sees(self, *words: str) -> bool:
        return self._text.startswith(words, self._at)

    def _takes(self, word: str) -> bool:
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Unknown
        return True

    def _known(self, table: dict[str, str], length: int) -> str | None:
        found = table.get(self._text[self._at : self._at + length])
        if found is not None:
            self._takes(self._text[self._at : self._at + length])
        return found

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise Unknown

    def _number(self) -> int:
        start = self._at
        while self._sees(*"0123456789"):
            self._at += 1
        if not 0 < self._at - start < 6:
            raise Unknown
        return int(self._text[start : self._at])

    def require_end(self) -> None:
        if self._at != len(self._text):
            raise Unknown

    def _bounded(self, text: str) -> str:
        self.steps += 1
        if len(text) > LONGEST_NAME or self.steps > MOST_STEPS:
            raise Unknown
        return text

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unknown

    def name_alone(self, otherwise: str) -> str:
        """What a function's name begins with; `otherwise` if that is not understood."""
        try:
            self._depth = 1
            return otherwise if self._sees(*SPECIAL) else self._name()[0]
        except (Unknown, IndexError, RecursionError):
            return otherwise

    # -- functions and variables -----------------------------------------------------------------
    def encoding(self) -> str:
        self._deeper()
        text = self._special() or self._function()
        self._depth -= 1
        return text

    def _special(self) -> str | None:
        if (words := self._known(SPECIAL, 2)) is not None:
            inner = self._name()[0] if words.startswith(("guard", "thread")) else _joined(self.type())
            return self._bounded(words + inner)
        for thunk in ("Th", "Tv"):
            if self._takes(thunk):
                for _ in range(1 if thunk == "Th" else 2):
                    self._takes("n")
                    self._number()
                    self._expect("_")
                return self._bounded(f"{'' if thunk == 'Th' else 'virtual '}thunk to {self.encoding()}")
        return None

    def _function(self) -> str:
        name, qualifiers, has_result = self._name()
        if self._at >= len(self._text) or self._sees("E"):
            return name
        result = self.type() if has_result else ("", "")
        before = f"{result[0]} " if result[0] else ""
        return self._bounded(f"{before}{name}({self._parameters('E')}){qualifiers}{result[1]}")

    def _parameters(self, end: str) -> str:
        types: list[str] = []
        while self._at < len(self._text) and not self._sees(end):
            types.append(_joined(self.type()))
        return self._bounded("" if types == ["void"] else ", ".join(filter(None, types)))

    # -- names -----------------------------------------------------------------------------------
    def _name(self) -> tuple[str, str, bool]:
        """The name; what a member function is, ` const`; whether its result is part of the mangled name."""
        if self._takes("N"):
            return self._nested()
        if self._takes("Z"):
            return self._local()
        if self._sees("S") and not self._sees("St"):
            name = _joined(self._substitution())
        else:
            name = ("std::" if self._takes("St") else "") + self._unqualified("")
            if self._sees("I"):
                self._substitutions.append((name, ""))
        if self._sees("I"):
            return self._bounded(name + self._template_arguments()), "", True
        return name, "", False

    def _nested(self) -> tuple[str, str, bool]:
        qualifiers = self._qualifiers()
        reference = " &" if self._takes("R") else " &&" if self._takes("O") else ""
        name, last, has_result = "", "", False
        while not self._takes("E"):
            self._takes("L")
            if self._sees("St") and not name:
                self._takes("St")
                name = last = "std"
                continue
            if self._sees("S") and not name:
                name = last = _joined(self._substitution())
                continue
            if self._sees("I"):
                if not name:
                    raise Unknown
                name = self._bounded(name + self._template_arguments())
                has_result = not last.startswith(("~", "operator ")) and last != "{constructor}"
            elif self._sees("T"):
                name = last = _joined(self._parameter())
            else:
                part = self._unqualified(name)
                last = "{constructor}" if name and part == _last(name) else part
                name = self._bounded(f"{name}::{part}" if name else part)
                has_result = False
            if not self._sees("E"):
                self._substitutions.append((name, ""))
        return name, qualifiers + reference, has_result

    def _local(self) -> tuple[str, str, bool]:
        around = self.encoding()
        self._expect("E")
        if self._takes("s"):
            name, qualifiers, has_result = "string literal", "", False
        else:
            if self._takes("d"):
                if not self._sees("_"):
                    self._number()
                self._expect("_")
            name, qualifiers, has_result = self._name()
        self._discriminator()
        return self._bounded(f"{around}::{name}"), qualifiers, has_result

    def _discriminator(self) -> None:
        if self._takes("__"):
            self._number()
            self._expect("_")
        elif self._takes("_"):
            self._expect(self._text[self._at] if self._text[self._at].isdecimal() else "\0")

    def _unqualified(self, scope: str) -> str:
        self._takes("L")
        if self._sees(*"0123456789"):
            text = self._source_name()
        elif self._sees("C1", "C2", "C3", "C4", "C5", "D0", "D1", "D2", "D4", "D5"):
            kind = self._text[self._at]
            self._at += 2
            text = ("~" if kind == "D" else "") + _last(scope)
        elif self._takes("Ut"):
            text = f"{{unnamed type{self._count()}}}"
        elif self._takes("Ul"):
            parameters = self._parameters("E")
            self._expect("E")
            text = f"{{lambda({parameters}){self._count()}}}"
        elif self._takes("cv"):
            text = f"operator {_joined(self.type())}"
        elif self._takes("li"):
            text = f'operator"" {self._source_name()}'
        elif (operator := self._known(OPERATORS, 2)) is not None:
            text = f"operator{operator}"
        else:
            raise Unknown
        while self._takes("B"):
            self._source_name()
        return text

    def _count(self) -> str:
        number = "" if self._sees("_") else str(self._number() + 2)
        self._expect("_")
        return f"#{number or 1}"

    def _source_name(self) -> str:
        length = self._number()
        text = self._text[self._at : self._at + length]
        if len(text) < length:
            raise Unknown
        self._at += length
        return "(anonymous namespace)" if text.startswith("_GLOBAL__N") else text

    # -- substitutions and templates -------------------------------------------------------------
    def _substitution(self) -> _Type:
        if (text := self._known(STANDARD, 2)) is not None:
            while self._takes("B"):
                self._source_name()
            return text, ""
        self._expect("S")
        return self._substitutions[self._sequence()]

    def _sequence(self) -> int:
        number = 0
        if self._takes("_"):
            return 0
        while not self._takes("_"):
            number = number * 36 + DIGITS.find(self._text[self._at])
            self._takes(self._text[self._at])
            if not 0 <= number < LONGEST_NAME:
                raise Unknown
        return number + 1

    def _parameter(self) -> _Type:
        self._expect("T")
        number = 0 if self._sees("_") else self._number() + 1
        self._expect("_")
        found = self._arguments[number]
        if isinstance(found, str):
            return found, ""
        if self._element is None:
            return ", ".join(filter(None, found)), ""
        self._pack_length = len(found)
        return (found[self._element] if found else ""), ""

    def _template_arguments(self) -> str:
        self._deeper()
        self._expect("I")
        arguments: list[str | list[str]] = []
        while not self._takes("E"):
            arguments.append(self._pack() if self._takes("J") else self._argument())
        self._depth -= 1
        if self._depth <= 1:  # those of the function itself are what its parameters refer to
            self._arguments = arguments
        shown = (item if isinstance(item, str) else ", ".join(filter(None, item)) for item in arguments)
        text = ", ".join(filter(None, shown))
        return self._bounded(f"<{text}>")

    def _argument(self) -> str:
        if self._takes("L"):
            return self._literal()
        if self._takes("J"):
            return self._bounded(", ".join(filter(None, self._pack())))
        return _joined(self.type())

    def _pack(self) -> list[str]:
        items: list[str] = []
        while not self._takes("E"):
            items.append(self._argument())
        return items

    def _expansion(self) -> _Type:
        """A type with packs in it, once for each of their elements."""
        start, known, found = self._at, len(self._substitutions), [""]
        self._element, self._pack_length = 0, 1
        found = [_joined(self.type())]
        count = self._pack_length
        for element in range(1, count):
            self._element = element
            self._at = start
            del self._substitutions[known:]
            found.append(_joined(self.type()))
        self._element = None
        return self._bounded(", ".join(found) if count else ""), ""

    def _literal(self) -> str:
        if self._takes("_Z"):
            text = self.encoding()
            self._expect("E")
            return f"&{text}"
        kind = self._text[self._at]
        shown = _joined(self.type())
        end = self._text.index("E", self._at) if "E" in self._text[self._at :] else -1
        value = self._text[self._at : end].replace("n", "-", 1)
        if not value.lstrip("-").isdecimal():
            raise Unknown
        self._at = end + 1
        if kind == "b":
            return {"0": "false", "1": "true"}.get(value, value)
        return value + SUFFIXES[kind] if kind in SUFFIXES else f"({shown}){value}"

    # -- types -----------------------------------------------------------------------------------
    def _qualifiers(self) -> str:
        words = (("r", " restrict"), ("V", " volatile"), ("K", " const"))
        return "".join(reversed([word for letter, word in words if self._takes(letter)]))

    def type(self) -> _Type:
        self._deeper()
        result = self._type()
        self._depth -= 1
        self._bounded(_joined(result))
        return result

    def _type(self) -> _Type:
        for length in (2, 1):
            if (text := self._known(BUILTIN, length)) is not None:
                return text, ""
        if self._sees("S") and not self._sees("St"):
            found = self._substitution()
            if not self._sees("I"):
                return found
            result = self._bounded(_joined(found) + self._template_arguments()), ""
        elif self._sees("T") and not self._sees("Ts", "Tu", "Te"):
            result = self._parameter()
            if self._sees("I"):
                self._substitutions.append(result)
                result = self._bounded(_joined(result) + self._template_arguments()), ""
        else:
            result = self._compound()
        self._substitutions.append(result)
        return result

    def _compound(self) -> _Type:
        if self._sees("r", "V", "K"):
            qualifiers = self._qualifiers()
            before, after = self.type()
            return (before, after + qualifiers) if after.startswith("(") else (before + qualifiers, after)
        for letter, mark in (("P", "*"), ("R", "&"), ("O", "&&")):
            if self._takes(letter):
                return _pointer(self.type(), mark)
        if self._takes("F"):
            self._takes("Y")
            result = self.type()
            parameters = self._parameters("E")
            self._expect("E")
            return f"{result[0]} ", f"({parameters}){result[1]}"
        if self._takes("A"):
            count = str(self._number()) if not self._sees("_") else ""
            self._expect("_")
            before, after = self.type()
            return f"{before.rstrip()} ", f"[{count}]{after}"
        if self._takes("M"):
            owner = _joined(self.type())
            before, after = self.type()
            if after.startswith("("):
                return f"{before}({owner}::*", f"){after}"
            return f"{before} {owner}::*", after
        if self._takes("Dp"):
            return self._expansion()
        if self._takes("Do"):
            before, after = self.type()
            return before, f"{after} noexcept"
        if self._takes("Dv"):
            lanes = self._number()
            self._expect("_")
            return f"{_joined(self.type())} vector[{lanes}]", ""
        for word in ("Ts", "Tu", "Te"):
            self._takes(word)
        return self._name()[0], ""


def _pointer(to: _Type, mark: str) -> _Type:
    before, after = to
    if after.startswith(("(", "[")):
        return f"{before}({mark}", f"){after}"
    if mark.startswith("&") and _REFERENCE_TO_ARRAY.search(before):
        return to
    if mark.startswith("&") and before.endswith("&"):
        return (before if mark == "&&" or not before.endswith("&&") else before[:-1]), after
    return before + mark, after


def _joined(pair: _Type) -> str:
    return pair[0] + pair[1]


def _last(name: str) -> str:
    """The last part of a qualified name, without template arguments: what its constructors are called."""
    depth = 0
    end = len(name)
    for index in range(len(name) - 1, -1, -1):
        character = name[index]
        if character == ">":
            depth += 1
        elif character == "<":
            depth -= 1
            if depth == 0:
                end = index
        elif character == ":" and depth == 0:
            return name[index + 1 : end]
    return name[:end]
