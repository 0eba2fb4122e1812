"""SQLite, boxed, beside Python's own: the same rows; functions, collations and rows in Python; in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

pytestmark = [pytest.mark.network, pytest.mark.boxes]


@pytest.fixture(scope="module")
def sqlite_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("sqlite", "fossil")


class Database:
    """What a user writes around a box: a database in memory, in forty lines."""

    def __init__(self, box: Any, names: ModuleType) -> None:
        self.box, self.names = box, names
        place = box.new("sqlite3 *[1]")
        assert box.sqlite3_open(":memory:", place) == names.SQLITE_OK
        self.handle = place[0]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        box, names, place = self.box, self.names, self.box.new("sqlite3_stmt *[1]")
        if box.sqlite3_prepare_v2(self.handle, sql, -1, place, None) != names.SQLITE_OK:
            raise ValueError(box.sqlite3_errmsg(self.handle))
        statement, found = place[0], []
        while (code := box.sqlite3_step(statement)) == names.SQLITE_ROW:
            count = box.checked.between(box.sqlite3_column_count(statement), 0, 100)
            found.append(tuple(self.value(statement, n) for n in range(count)))
        if code != names.SQLITE_DONE:
            raise ValueError(box.sqlite3_errmsg(self.handle))
        box.sqlite3_finalize(statement)
        return found

    def value(self, statement: Any, column: int) -> Any:
        box, names = self.box, self.names
        match box.sqlite3_column_type(statement, column):
            case names.SQLITE_INTEGER:
                return box.sqlite3_column_int64(statement, column)
            case names.SQLITE_FLOAT:
                return box.sqlite3_column_double(statement, column)
            case names.SQLITE_TEXT:
                return box.checked.text(box.sqlite3_column_text(statement, column), 10_000)
            case names.SQLITE_BLOB:
                blob = box.sqlite3_column_blob(statement, column)
                return box.checked.data(blob, box.sqlite3_column_bytes(statement, column), 10_000)
        return None


@pytest.fixture
def database(sqlite_box: ModuleType) -> Iterator[Database]:
    with sqlite_box.open(memory="64MiB", timeout=10.0) as box:
        yield Database(box, sqlite_box)


SCRIPT = [
    "create table t(a integer primary key, b text, c real, d blob)",
    "insert into t values (1, 'one', 1.5, x'00ff'), (2, 'zw\u00f6lf', -2e300, null), (3, null, null, x'')",
    "with recursive n(x) as (select 1 union all select x + 1 from n where x < 500)"
    " insert into t select x + 10, 'row ' || x, x / 7.0, zeroblob(x % 5) from n",
    "create index i on t(b)",
]
QUERIES = [
    "select * from t order by a limit 5",
    "select count(*), sum(a), min(b), max(c) from t",
    "select b, length(d) from t where b like 'row 1%' order by c desc limit 7",
    "select upper(b), hex(d), typeof(c) from t where a < 4 order by a",
    "select group_concat(a) from (select a from t where a % 97 = 0 order by a)",
    "select 9223372036854775807, -9223372036854775808, 1e999, abs(-5), round(2.5), 'it''s'",
    "select x.a, y.a from t x join t y on x.a = y.a + 1 where x.a < 20 order by 1",
]


def test_rows_are_those_of_sqlite3(database: Database) -> None:
    theirs = sqlite3.connect(":memory:")
    for statement in SCRIPT:
        theirs.execute(statement)
        assert database.rows(statement) == []
    for query in QUERIES:
        assert database.rows(query) == theirs.execute(query).fetchall(), query


def test_functions_of_sql_are_functions_in_python(database: Database) -> None:
    box, names = database.box, database.names
    calls = []

    def twice(context: Any, count: int, values: Any) -> None:
        calls.append(box.checked.between(count, 1, 1))
        box.sqlite3_result_int64(context, 2 * box.sqlite3_value_int64(values[0]))

    function = box.callback(twice, "sqlite3_create_function_v2.xFunc")
    code = box.sqlite3_create_function_v2(
        database.handle, "twice", 1, names.SQLITE_UTF8, None, function, None, None, None
    )
    assert code == names.SQLITE_OK
    assert database.rows("select twice(21), twice(twice(1))") == [(42, 4)]
    assert calls == [1, 1, 1]


def test_an_exception_of_a_function_leaves_through_the_library(database: Database) -> None:
    box, names = database.box, database.names

    def fails(context: Any, count: int, values: Any) -> None:
        raise LookupError("not today")

    with box.callback(fails, "sqlite3_create_function_v2.xFunc", on_error=None) as function:
        box.sqlite3_create_function_v2(
            database.handle, "fails", 0, names.SQLITE_UTF8, None, function, None, None, None
        )
        with pytest.raises(LookupError, match="not today"):
            database.rows("select fails()")
        assert database.rows("select 1") == [(1,)], "the library finished what it was in the middle of"


def test_rows_come_by_callback(database: Database) -> None:
    box, names = database.box, database.names
    for statement in SCRIPT:
        database.rows(statement)
    seen: list[Any] = []

    def row(user: list[Any], count: int, values: Any, titles: Any) -> int:
        here = range(box.checked.between(count, 0, 10))
        user.append([(box.checked.text(titles[n], 100), values[n] and values[n].string()) for n in here])
        return 0

    with box.handle(seen) as handle:
        query = "select a, b from t where a < 4 order by a"
        assert box.sqlite3_exec(database.handle, query, row, handle, None) == names.SQLITE_OK
    assert seen[0] == [("a", b"1"), ("b", b"one")] and seen[2] == [("a", b"3"), ("b", None)]


def test_wrong_sql_has_a_message(database: Database) -> None:
    with pytest.raises(ValueError, match='near "selec": syntax error'):
        database.rows("selec 1")
