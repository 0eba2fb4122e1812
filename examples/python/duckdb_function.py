"""python examples/python/duckdb_function.py: a tenant's function, in Python, inside a DuckDB query.

What to take from it: a column's values go into the sandbox as an array and come back as one. Needs the
package duckdb."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np

from tmebox.python import Python

TENANTS_SOURCE = """
import numpy as np

def discount(amounts):
    return np.where(amounts > 100, amounts * 0.9, amounts)
"""


def main() -> None:
    with Python(memory="16MiB", timeout=2.0) as python:
        python.run(TENANTS_SOURCE, filename="tenant.py")

        def discount(column: Any) -> Any:
            import pyarrow

            amounts = np.asarray(column, np.float64)
            return pyarrow.array(python.call("discount", amounts))

        def discount_one(amount: float) -> float:
            return float(python.call("discount", np.array([amount]))[0])

        database = duckdb.connect()
        try:
            import pyarrow  # noqa: F401  (with it, DuckDB calls the function once for 2,048 rows)

            database.create_function("discount", discount, ["DOUBLE"], "DOUBLE", type="arrow")
        except ImportError:
            database.create_function("discount", discount_one, ["DOUBLE"], "DOUBLE")
        database.execute("create table orders as select range as id, range * 50.0 as amount from range(6)")
        for number, amount, paid in database.execute(
            "select id, amount, discount(amount) from orders order by id"
        ).fetchall():
            print(f"order {number}: {amount:6.2f} → {paid:6.2f}")


if __name__ == "__main__":
    main()
