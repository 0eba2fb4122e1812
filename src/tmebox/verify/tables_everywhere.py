"""Rule `table-within-text` for a whole text: what each jump through a table can read.

Of most jumps their own sequence says so. Of the others it depends on what is known of the index, which is
asked when all of the text has been read.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tmebox import abi
from tmebox.verify import facts_everywhere
from tmebox.verify.depth import Problem
from tmebox.verify.facts import OFFSET_BITS
from tmebox.verify.facts_everywhere import Claims, TableJumps
from tmebox.verify.reading import Block, Indexes, Positions

_OUTSIDE = "it can read outside the tables at the text's end"


class Text:
    """Told of a text's jumps through tables, block by block."""

    def __init__(self, address: int, tables: bytes) -> None:
        """address: of the tables."""
        self._address = address
        self._size_bytes = len(tables)
        self.targets = np.frombuffer(tables, "<u8")
        self._jumps = [np.empty((0, 3), np.int64)]
        self._known = [np.empty((0, 3), np.int64)]

    def jumps(self) -> TableJumps:
        """Of those that were noted: where they stand, and what they can read."""
        return TableJumps(*np.concatenate(self._jumps).T)

    def bounded(self, block: Block, jumps: Indexes) -> Iterator[Problem]:
        """The last steps of sequences that compare the index with a bound."""
        most = block.numbers(jumps - 2, lambda form: form.number)
        tables = block.numbers(jumps, lambda form: form.number)
        yield from self._note(block.starts[jumps].astype(np.int64), tables, most)

    def others(self, block: Block, jumps: Indexes) -> None:
        """Jumps in no sequence."""
        registers = [block.form(index).table_index or 0 for index in jumps.tolist()]
        tables = block.numbers(jumps, lambda form: form.number)
        self._known.append(np.column_stack([block.starts[jumps], np.array(registers, np.int64), tables]))

    def known(self, facts: facts_everywhere.Text, arrivals: Positions, claims: Claims) -> Iterator[Problem]:
        """What `others` can read, by the number of bits that their indexes have at most."""
        positions, registers, tables = np.concatenate(self._known).T
        if len(positions):
            bits = np.minimum(facts.known(arrivals, claims, positions, registers), OFFSET_BITS)
            # Where nothing is known, or that it is the base: more entries than any text has.
            yield from self._note(positions, tables, (np.int64(1) << bits.astype(np.int64)) - 1)

    def _note(self, positions: Positions, tables: Positions, most: Positions) -> Iterator[Problem]:
        """Entries 0 to `most` of each jump's table are among the text's tables."""
        first = tables - self._address
        is_entry = (first >= 0) & (first % abi.TABLE_ENTRY == 0)
        fits = is_entry & (most >= 0) & (first + (most + 1) * abi.TABLE_ENTRY <= self._size_bytes)
        entry = first[fits] // abi.TABLE_ENTRY
        self._jumps.append(np.column_stack([positions[fits], entry, entry + most[fits]]))
        for position in positions[~fits].tolist():
            yield position, _OUTSIDE
