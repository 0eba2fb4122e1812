"""The values of a header's constants: the compiler computes them, and a sandbox tells."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from tmebox.compilation import compile
from tmebox.errors import CompileError
from tmebox.runtime.sandbox import Sandbox
from tmebox.runtime.sandbox_memory import BadPointer
from tmebox.runtime.worldless import WorldlessSandbox

Value = int | float | str
INTEGER, REAL, TEXT, LARGE = 1, 2, 3, 4
MOST_TRIES = 40
_ROW = """
#line {line} "constants"
{{ _Generic(({name}), char *: 3, const char *: 3, float: 2, double: 2, long double: 2, unsigned long: 4, \
unsigned long long: 4, default: 1), _Generic(({name}), char *: 0, const char *: 0, default: ({name})), \
_Generic(({name}), char *: 0, const char *: 0, default: ({name})), \
_Generic(({name}), char *: ({name}), const char *: ({name}), default: (const char *)0) }},
"""
_PROGRAM = """
{include}
static const struct {{ int kind; long long integer; double real; const char *text; }} rows[] = {{
{rows}
}};
int {own}kind(int i) {{ return rows[i].kind; }}
long long {own}integer(int i) {{ return rows[i].integer; }}
double {own}real(int i) {{ return rows[i].real; }}
const char *{own}text(int i) {{ return rows[i].text; }}
"""
EXACT = {INTEGER: int, LARGE: int, REAL: float, TEXT: str}
"""What Python has of each kind."""


def constants_of(
    names: Sequence[str], include: str, include_dirs: Sequence[Path], defines: Sequence[str] = ()
) -> dict[str, Value]:
    """Those of the names that are constants, with their values. include: source text that declares them,
    which is not believed: it may define what it likes, macros over words of C among that."""
    wanted = list(names)
    own = f"tmebox_{secrets.token_hex(16)}_"  # that a header cannot define
    for _ in range(MOST_TRIES):
        if not wanted:
            return {}
        rows = "".join(_ROW.format(line=line, name=name) for line, name in enumerate(wanted, 1))
        program = _PROGRAM.format(include=include, rows=rows, own=own)
        try:
            module = compile(
                source_text=program,
                include_dirs=include_dirs,
                defines=defines,
                flags=("-w", "-ferror-limit=0"),
            )
        except CompileError as error:
            wrong = {d.line for d in error.diagnostics if d.file and d.file.endswith("constants")}
            kept = [name for line, name in enumerate(wanted, 1) if line not in wrong]
            if len(kept) == len(wanted):
                raise
            wanted = kept
            continue
        with WorldlessSandbox(module, timeout=10.0) as sandbox:
            values = {name: _value(sandbox, own, index) for index, name in enumerate(wanted)}
            return {name: value for name, value in values.items() if value is not None}
    return {}


def _value(sandbox: Sandbox, own: str, index: int) -> Value | None:
    """None for a text that is not there, and for what is no number or text: with macros, a header makes the
    functions take and return anything."""
    try:
        kind = sandbox.call(f"{own}kind", index)
        if type(kind) is not int or kind not in EXACT:
            return None
        name = "text" if kind == TEXT else "real" if kind == REAL else "integer"
        value: Value = sandbox.call(own + name, index)
    except (BadPointer, AttributeError, TypeError):
        return None
    if kind == LARGE and isinstance(value, int):
        value &= (1 << 64) - 1
    return value if type(value) is EXACT[kind] else None
