"""What shows, converts or copies any object asks it for attributes, and trusts them. No module answers."""

from __future__ import annotations

import copy
import ctypes
import inspect
import io
import operator
import os
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox.modulefile import codec

OF_NOTEBOOKS = """
_ipython_display_ _repr_mimebundle_ _repr_html_ _repr_javascript_ _repr_markdown_ _repr_svg_ _repr_png_
_repr_jpeg_ _repr_latex_ _repr_json_ _repr_pdf_ _repr_pretty_ _ipython_key_completions_ _mime_ _display_
_ipython_canary_method_should_not_exist_
"""
OF_OTHERS = """
__html__ __html_format__ __rich__ __rich_console__ __rich_measure__ __rich_repr__ __array__
__array_interface__ __array_struct__ __array_ufunc__ __array_function__ __array_priority__ __array_wrap__
__array_finalize__ __dlpack__ __dlpack_device__ __arrow_array__ __arrow_c_array__ __arrow_c_stream__
__cuda_array_interface__ __dataframe__ __torch_function__ _as_parameter_ _objects _fields_ _fields _asdict
_replace _make _b_base_ __ctypes_from_outparam__ __conform__ __clause_element__ __attrs_attrs__
__dataclass_fields__
"""
OF_PYTHON = """
__fspath__ __index__ __int__ __float__ __bool__ __bytes__ __format__ __str__ __repr__ __hash__
__eq__ __len__ __iter__ __next__ __getitem__ __contains__ __call__ __enter__ __exit__ __aenter__ __await__
__aiter__ __get__ __set__ __delete__ __set_name__ __wrapped__ __signature__ __text_signature__
__annotations__ __doc__ __name__ __qualname__ __module__ __class__ __dict__ __slots__ __mro_entries__
__instancecheck__ __subclasshook__ __copy__ __deepcopy__ __reduce__ __reduce_ex__ __getstate__ __setstate__
__getnewargs__ __getnewargs_ex__ __getinitargs__ __sizeof__ __dir__ __del__ __weakref__ __path__ __spec__
__loader__ __file__ __all__ __notes__ __traceback__ __length_hint__ __round__ __trunc__ __buffer__
__class_getitem__ __init_subclass__ __objclass__ __self__ __code__ __defaults__ __closure__
__isabstractmethod__ __test__ __unittest_skip__
"""
NAMES = f"{OF_NOTEBOOKS} {OF_OTHERS} {OF_PYTHON}".split()
TEXT = "<script>alert('[bold]')</script>\x1b[2J"
ESCAPED_TEXT = r"<script>alert('[bold]')</script>\x1b[2J"
FUNCTIONS = "\n".join(f'const char *{name}(void) {{ ran++; return "{ESCAPED_TEXT}"; }}' for name in NAMES)
GROUPS = [NAMES[start::5] for start in range(5)]
"""A struct with all of them would have too many members for Python."""
STRUCTS = "\n".join(
    f"""
    struct evil{number} {{
        int plain, _number; struct {{ asked {", ".join(group[::2])}; }}; asked {", ".join(group[1::2])};
    }};
    static struct evil{number} one{number} = {{
        1, 7, {{ {", ".join(group[::2])} }}, {", ".join(group[1::2])}
    }};
    struct evil{number} *find{number}(void) {{ return &one{number}; }}
    struct evil{number} value{number}(void) {{ return one{number}; }}
    """
    for number, group in enumerate(GROUPS)
)
SOURCE = f"""
static int ran;
typedef const char *(*asked)(void);
{FUNCTIONS}
{STRUCTS}
int times(void) {{ return ran; }}
"""


@pytest.fixture(scope="module")
def box() -> Iterator[Any]:
    module = tmebox.compile(source_text=SOURCE)
    with tmebox.Box(module) as made:
        yield made


def of_each(name: str, then: Callable[[Any], Any] = lambda found: found) -> Callable[[Any], list[Any]]:
    """What the functions of that name give, one for each struct."""
    return lambda box: [then(box.exports[f"{name}{number}"]()) for number in range(len(GROUPS))]


KINDS: dict[str, Callable[[Any], list[Any]]] = {
    "Sandbox": lambda box: [tmebox.Sandbox(box.module)],
    "Box": lambda box: [box],
    "Pointer": of_each("find"),
    "Pointer to what was made": lambda box: [box.new(f"struct evil{n}[2]") for n in range(len(GROUPS))],
    "p[0]": of_each("find", lambda pointer: pointer[0]),
    "value": of_each("find", lambda pointer: pointer.read()),
    "result": of_each("value"),
    "exports": lambda box: [box.exports],
    "function": lambda box: [box.exports["__html__"], box.find0()[GROUPS[0][0]]],
    "module": lambda box: [box.module],
    "snapshot": lambda box: [tmebox.Sandbox(box.module).snapshot()],
}


def quietly(function: Callable[..., object], *arguments: Any) -> str:
    """What comes out, as text."""
    try:
        return str(function(*arguments))
    except Exception as error:
        return str(error)


WAYS: dict[str, Callable[[Any], object]] = {
    "asarray": np.asarray,
    "array of objects": lambda thing: np.array([thing], dtype=object),
    "ufunc": lambda thing: np.add(thing, 1),
    "frombuffer": np.frombuffer,
    "from_dlpack": np.from_dlpack,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "format": "{}".format,
    "repr": repr,
    "int": int,
    "float": float,
    "complex": complex,
    "round": round,
    "index": operator.index,
    "length": operator.length_hint,
    "truth": bool,
    "hash": hash,
    "path": os.fspath,
    "signature": inspect.signature,
    "unwrap": lambda thing: isinstance(inspect.unwrap(thing), type(thing)),
    "await": inspect.isawaitable,
    "sqlite": lambda thing: sqlite3.connect(":memory:").execute("select ?", [thing]).fetchone(),
}


@pytest.fixture(params=KINDS)
def things(box: Any, request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """Of one kind. No function of the module runs while they are looked at."""
    made = KINDS[request.param](box)
    before = box.times()
    yield made
    assert box.times() == before


def test_nothing_of_a_module_answers_for_python(things: list[Any]) -> None:
    for thing in things:
        for name, way in WAYS.items():
            assert TEXT not in quietly(way, thing), name


def test_ctypes_takes_none_for_an_address(things: list[Any]) -> None:
    for thing in things:
        with pytest.raises(ctypes.ArgumentError):
            ctypes.CDLL(None).labs(thing)


def test_a_module_names_no_attribute_with_an_underscore(things: list[Any]) -> None:
    for thing in things:
        of_python = {*dir(type(thing)), *dir(type), "__dict__"}
        for name in {*NAMES, "_number", "_nothing"} - of_python:
            assert not hasattr(thing, name) and name not in dir(thing), name


def test_what_notebooks_show_is_escaped(things: list[Any]) -> None:
    formatters = pytest.importorskip("IPython.core.formatters", reason="IPython is not installed")
    for thing in things:
        data, _ = formatters.DisplayFormatter().format(thing)
        assert set(data) <= {"text/plain", "text/html"}
        assert data["text/plain"].replace("\n", "").isprintable()
        assert "<script" not in data.get("text/html", "")


def test_what_templates_show_is_escaped(things: list[Any]) -> None:
    markupsafe = pytest.importorskip("markupsafe", reason="markupsafe is not installed")
    assert "<" not in markupsafe.escape(things[0])


def test_what_rich_shows_is_plain(things: list[Any]) -> None:
    console = pytest.importorskip("rich.console", reason="rich is not installed")
    for thing in things:
        out = io.StringIO()
        console.Console(file=out, width=200).print(thing)
        assert out.getvalue().replace("\n", "").isprintable() and "<script" not in out.getvalue()


def test_such_exports_are_called_by_name(box: Any) -> None:
    sandbox: Any
    for sandbox in (box, tmebox.Sandbox(box.module)):
        assert sandbox.call("_repr_html_") == TEXT and sandbox.exports["_asdict"]() == TEXT
        with pytest.raises(AttributeError, match=r"'_asdict': .* exports\['_asdict'\]\(…\)"):
            sandbox._asdict()


def test_such_members_are_items(box: Any) -> None:
    pointer = box.find0()
    made = box.new("struct evil0", _number=3)
    name = GROUPS[0][1]
    for view in (pointer, pointer[0], made, made[0]):
        with pytest.raises(AttributeError, match=r"'_number': .* pointer\['_number'\]"):
            view._number  # noqa: B018
        with pytest.raises(AttributeError, match="_number"):
            view._number = 5
        view["_number"] += 4
        assert view["plain"] == view.plain
        for wrong, error in (("nothing", KeyError), ("", KeyError), (1.5, TypeError)):
            with pytest.raises(error):
                view[wrong]
            with pytest.raises(error):
                view[wrong] = 1
    assert (pointer["_number"], made[0]["_number"]) == (15, 11)
    assert made[name] is None and pointer[name]() is not None
    with pytest.raises(TypeError, match="only structs have members"):
        box.new("int[2]")["x"]
    made.free()
    with pytest.raises(ValueError, match="freed"):
        made["_number"]


ODD_NAMES = ["plain", "class", "_hidden", "x(print(1))", "y\x1b[2J", "a b", "\uff3fwide", ""]


def test_prompts_complete_with_names_only() -> None:
    """What a module calls its functions is typed for who presses Tab, and looked up by who asks for help."""
    file = tmebox.compile(source_text="int plain(void) { return 1; }").file
    exports = tuple(replace(file.exports[0], name=name) for name in ODD_NAMES if name)
    sandbox = tmebox.Sandbox(tmebox.Module.from_bytes(codec.encode(replace(file, exports=exports))))
    new = set(dir(sandbox)) - set(dir(type(sandbox))) - set(vars(sandbox))
    assert new == {"plain"}
    assert sorted(sandbox.exports) == sorted(filter(None, ODD_NAMES))
