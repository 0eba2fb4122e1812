"""Calling conventions of functions inside: arguments in registers that the instrumentation uses as well."""

from __future__ import annotations

import pytest

import tmebox
from tmebox.hints import Optimization

NAMES = "abcdefghijk"
SOURCE = f"""
#define PN __attribute__((preserve_none))
PN __attribute__((noinline)) long sum({", ".join(f"long {n}" for n in NAMES)})
{{ return {" + ".join(f"{i} * {n}" for i, n in enumerate(NAMES, 1))}; }}
typedef PN long fn({", ".join(["long"] * len(NAMES))});
fn *volatile pointer = sum; fn *table[4] = {{0, 0, sum, 0}}; volatile long one = 1;
struct object {{ long before; fn *method; }}; struct object object = {{0, sum}};
PN __attribute__((noinline)) long tail({", ".join(f"long {n}" for n in NAMES)})
{{ return pointer({", ".join(reversed(NAMES))}); }}
PN __attribute__((noinline)) long direct_tail({", ".join(f"long {n}" for n in NAMES)})
{{ return sum({", ".join(reversed(NAMES))}); }}
#define CALL(f) f(one, one + 1, 3, 4, one + 4, 6, 7, 8, 9, 10, one + 10)
long direct(void) {{ return CALL(sum); }}
long through_pointer(void) {{ return CALL(pointer); }}
long through_table(long i) {{ return CALL(table[i]); }}
long through_argument(struct object *o) {{ return CALL(o->method); }}
long through_object(void) {{ return through_argument(&object); }}
long by_tail_call(void) {{ return CALL(tail); }}
long by_direct_tail_call(void) {{ return CALL(direct_tail); }}
"""
SUM = sum(i * i for i in range(1, 12))
REVERSED = sum(i * (12 - i) for i in range(1, 12))


@pytest.mark.parametrize("optimize", ["-O0", "-O1", "-O3"])
def test_the_eleventh_argument_arrives_however_the_function_is_reached(optimize: Optimization) -> None:
    with tmebox.Sandbox(tmebox.compile(source_text=SOURCE, optimize=optimize)) as box:
        assert box.direct() == box.through_pointer() == box.through_table(2) == box.through_object() == SUM
        assert box.by_tail_call() == box.by_direct_tail_call() == REVERSED


def test_a_host_function_of_another_convention_is_refused_when_it_is_called() -> None:
    source = "__attribute__((preserve_none)) int host(int a); int f(int a) { return host(a); }"
    module = tmebox.compile(source_text=source)
    refused = pytest.raises(
        TypeError, match=r"host function int host\(int\) cannot be called: .*preserve_none"
    )
    with tmebox.Sandbox(module, imports={"host": lambda a: a}) as box, refused:
        box.f(1)
