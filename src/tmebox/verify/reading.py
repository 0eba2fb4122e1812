"""Reading a text from its first byte to its last: where its instructions start, and the form of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from iced_x86 import Decoder

from tmebox.once import once
from tmebox.verify.bases import Table
from tmebox.verify.decoded import Field
from tmebox.verify.forms import Form, classify
from tmebox.verify.representatives import representative
from tmebox.verify.sequences import Sequences, Steps

MOST_IN_A_ROW: Final = 1 << 18
"""How many instructions are looked at at a time: more than any function has without a jump in between."""
MOST_ENCODINGS: Final = 1 << 18
"""How many encodings are remembered at a time: a hostile text could have hundreds of millions."""
MOST_FORMS: Final = 1 << 12
"""How many forms are remembered from one text to the next. Programs have a few hundred."""

_SHORT: Final = 7
"""Bytes of encodings that are looked up many at a time."""
_SLOT_BITS: Final = 17
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd, and as many ones as zeros: its products have similar keys in different slots."""

Indexes = np.ndarray[Any, np.dtype[np.intp]]
Places = np.ndarray[Any, np.dtype[np.uint32]]
Positions = np.ndarray[Any, np.dtype[np.int64]]
_Keys = np.ndarray[Any, np.dtype[np.uint64]]
_Numbers = np.ndarray[Any, np.dtype[np.uint32]]

_MASKS: Final[_Keys] = np.array([256**length - 1 for length in range(_SHORT + 1)] + [0] * 8, np.uint64)
"""Of an encoding's bytes in the 8 that begin where it does, by its length; nothing of long ones."""


class _Memory(dict[bytes, int]):
    """What this process has learnt about encodings: the form of each, by its number in `forms`. Asked for one
    that it does not know, it learns it.

    Numbers never change and forms are never forgotten; encodings may be, and are learnt again. Those that are
    refused wherever they stand are not remembered.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.forms: list[Form] = []
        self._numbers_of_forms: dict[Form, int] = {}
        self._slots: tuple[_Keys, _Numbers] = (
            np.zeros(1 << _SLOT_BITS, np.uint64),
            np.zeros(1 << _SLOT_BITS, np.uint32),
        )

    def __missing__(self, encoding: bytes) -> int:
        known = representative(encoding)
        number = self.get(known)
        if number is None:
            form = classify(known, self.table)
            number = self._number(form)
            if form.refusals:
                return number
            self[known] = number
        if len(self) >= MOST_ENCODINGS:
            self.clear()
        self[encoding] = number
        return number

    def numbers(self, code: bytes, start: int, ends: Places) -> _Numbers:
        """The form of each instruction from `start` on, by its number.

        A short encoding is a key of 64 bits: its length and its bytes. Each key has one slot, where the last
        one that was looked up alone is kept, with its form's number; a slot with another key says nothing.
        Slots are never changed, only replaced all at once, since other threads may look at them.
        """
        begins = np.concatenate([np.array([start], np.uint32), ends[:-1]])
        lengths = (ends - begins).astype(np.uint8)
        size = int(ends[-1]) - start
        eights = np.ndarray(size, "<u8", code[start : start + size] + bytes(7), strides=1)
        keys = eights[begins - start] & _MASKS[lengths] | lengths.astype(np.uint64) << np.uint64(56)
        slots = (keys * _SPREAD >> np.uint64(64 - _SLOT_BITS)).astype(np.intp)
        known, of_known = self._slots
        numbers: _Numbers = of_known[slots]
        missed = np.flatnonzero(known[slots] != keys)
        if len(missed):
            where = zip(begins[missed].data, ends[missed].data, strict=True)  # lists would be far larger
            numbers[missed] = [self[code[begin:end]] for begin, end in where]
            short = missed[lengths[missed] <= _SHORT]
            free, first = np.unique(slots[short], return_index=True)  # one key for each, and its own number
            known, of_known = known.copy(), of_known.copy()
            known[free], of_known[free] = keys[short[first]], numbers[short[first]]
            self._slots = known, of_known
        return numbers

    def _number(self, form: Form) -> int:
        """Without a lock, which a signal handler that loads a module would wait for. If two learn a form at
        once, it is there twice, and one of its numbers is nobody's."""
        number = self._numbers_of_forms.get(form)
        if number is None:
            self.forms.append(form)
            last = len(self.forms) - 1
            own = next(place for place in range(last, -1, -1) if self.forms[place] is form)
            number = self._numbers_of_forms.setdefault(form, own)
        return number


_MEMORIES: Final[dict[Table, _Memory]] = {}


def _memory_of(table: Table) -> _Memory:
    memory = _MEMORIES.get(table)
    if memory is None or len(memory.forms) > MOST_FORMS:
        memory = _MEMORIES[table] = _Memory(table)
    return memory


class Block:
    """Some of a text's instructions, in a row, by their index.

    code, start: their bytes, and where these are in the text. forms: those that occur. kinds: which of them
    each instruction has. starts, ends: its place in the text.
    """

    def __init__(self, code: bytes, start: int, forms: Sequence[Form], numbers: _Numbers, ends: Places):
        """numbers: which of `forms` each instruction has, if they have more than occur."""
        occurs = np.zeros(len(forms), bool)
        occurs[numbers] = True
        self.forms: list[Form] = [forms[number] for number in np.flatnonzero(occurs).tolist()]
        self.kinds: Indexes = (np.cumsum(occurs) - 1)[numbers]
        self.code = code[start : int(ends[-1])]
        self.start = start
        self.ends = ends
        self.starts = np.concatenate([np.array([start], np.uint32), self.ends[:-1]])

    def __len__(self) -> int:
        return len(self.kinds)

    def form(self, index: int) -> Form:
        return self.forms[int(self.kinds[index])]

    def where(self, test: Callable[[Form], object]) -> Indexes:
        """The indexes, in order, of instructions whose form passes `test`."""
        passes = [bool(test(form)) for form in self.forms]
        return np.flatnonzero(np.array(passes)[self.kinds]) if any(passes) else np.empty(0, np.intp)

    def runs(self, sequence: Steps) -> Indexes:
        """The indexes, in order, of the last instruction of each run that can be the steps of `sequence`."""
        stepping = self._stepping
        last = stepping.indexes(sequence[-1])
        last = last[last >= len(sequence) - 1]
        for before, step in enumerate(sequence[-2::-1], 1):
            last = last[stepping.can_be(step, last - before)]
        return last

    @once
    def _numbers_at(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """The number of 4 bytes that begins at each place of `code`, whatever is there."""
        numbers: np.ndarray[Any, np.dtype[np.int32]]
        numbers = np.ndarray(len(self.code) + 1, "<i4", self.code + bytes(4), strides=1)
        return numbers

    def sequences(self, table: Sequences) -> Iterator[Steps]:
        """Those that may be there: each of their steps is something that an instruction can be."""
        steps = frozenset(self._stepping.steps)
        for last in steps:
            for sequence in table.by_last_step.get(last, ()):
                if steps.issuperset(sequence):
                    yield sequence

    @once
    def _stepping(self) -> _Stepping:
        return _Stepping(self.forms, self.kinds)

    def numbers(self, indexes: Indexes, field_of: Callable[[Form], Field | None]) -> Positions:
        """The number in that field of each of these instructions; 0 without one."""
        if not len(indexes):
            return np.empty(0, np.int64)
        kinds = self.kinds[indexes]
        occurring = np.flatnonzero(np.bincount(kinds))
        fields = np.zeros((len(self.forms), 2), np.int64)
        fields[occurring] = [field_of(self.forms[kind]) or Field(0, 0) for kind in occurring.tolist()]
        before_end, size_bytes = fields[kinds].T
        near = self._numbers_at[self.ends[indexes] - before_end - self.start]
        found: Positions = np.where(size_bytes == 1, near.astype(np.int8), near).astype(np.int64)
        found[size_bytes == 0] = 0
        return found

    def referents(self, indexes: Indexes, field_of: Callable[[Form], Field | None]) -> Positions:
        """The position, perhaps outside the text, that the field of each of these instructions leads to."""
        return self.ends[indexes].astype(np.int64) + self.numbers(indexes, field_of)


class _Stepping:
    """Which steps of sequences the instructions of a block can be.

    A hostile text has a million forms and all sequences, but few forms differ in the steps they can be: those
    are looked at, so that a sequence costs as much as there are instructions that could end it. Most can be
    none: their number is 0.
    """

    def __init__(self, forms: Sequence[Form], kinds: Indexes) -> None:
        numbers: dict[frozenset[str], int] = {frozenset(): 0}
        of_forms = np.array([numbers.setdefault(form.steps, len(numbers)) for form in forms], np.uint32)
        narrow = np.min_scalar_type(len(numbers))  # such numbers are sorted quickly
        self._sorts = of_forms.astype(narrow)[kinds]
        stepping = np.flatnonzero(self._sorts)
        self._order = stepping[np.argsort(self._sorts[stepping], kind="stable")]
        self._ends = np.cumsum(np.bincount(self._sorts[stepping], minlength=len(numbers)))
        self._numbers: dict[str, list[int]] = {}
        for steps, number in numbers.items():
            for step in steps:
                self._numbers.setdefault(step, []).append(number)

    @property
    def steps(self) -> Iterable[str]:
        return self._numbers

    def indexes(self, step: str) -> Indexes:
        """Of the instructions that can be the step, in order."""
        found = [
            self._order[self._ends[number - 1] : self._ends[number]] for number in self._numbers.get(step, ())
        ]
        return np.sort(np.concatenate(found)) if found else np.empty(0, np.intp)

    def can_be(self, step: str, indexes: Indexes) -> np.ndarray[Any, np.dtype[np.bool_]]:
        numbers = np.zeros(len(self._ends), bool)
        numbers[self._numbers.get(step, [])] = True
        can: np.ndarray[Any, np.dtype[np.bool_]] = numbers[self._sorts[indexes]]
        return can


def read(code: bytes, table: Table) -> Iterator[Block]:
    """Decode `code` from its first byte to its last.

    A block ends where control ends, so that neither a sequence nor a move of rsp goes on in the next one; but
    the last one may end anywhere, and so may one through which control runs for MOST_IN_A_ROW instructions.
    """
    memory = _memory_of(table)
    kinds, ends = np.empty(0, np.uint32), np.empty(0, np.uint32)
    decoder = Decoder(64, code)
    first = start = 0
    while decoder.can_decode:
        lengths = np.fromiter(map(len, islice(decoder, MOST_IN_A_ROW - len(kinds))), np.uint8)
        ends = np.concatenate([ends, start + np.cumsum(lengths, dtype=np.uint32)])
        kinds = np.concatenate([kinds, memory.numbers(code, start, ends[len(kinds) :])])
        start = int(ends[-1])
        count = len(kinds)
        if decoder.can_decode:
            while count and not memory.forms[kinds[count - 1]].ends:
                count -= 1
        count = count or len(kinds)
        yield Block(code, first, memory.forms, kinds[:count], ends[:count])
        first, kinds, ends = int(ends[count - 1]), kinds[count:], ends[count:]
    if len(kinds):
        yield Block(code, first, memory.forms, kinds, ends)
