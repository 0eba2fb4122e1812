"""How every kind of value is passed, against the compiler: in arguments and results, of exports, of host
functions, and of host functions that are called through a pointer."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

import tmebox
from tests.runtime.signatures import VECTORS, Signature, same, signatures
from tmebox.hints import Optimization

pytestmark = pytest.mark.slow

COUNT = 30
WHOLE = re.compile("goes in (x87 registers|a vector register as a whole)")
UNKNOWN = re.compile("whether (it|.* in it) is packed")


def has_structs(signature: Signature) -> bool:
    """Whether there is something that may be packed, unseen."""
    return any(made.kind != "scalar" for made, _ in (*signature.parameters, signature.result))


def has_whole_registers(signature: Signature) -> bool:
    """Whether there is something that functions of the host do not get or give."""
    types = [made for made, _ in (*signature.parameters, signature.result)]
    return any(made.holds(name) for made in types for name in (*VECTORS, "long double"))


def attempt(signature: Signature, call: Any, by_host: bool = False) -> Any:
    """What the call returns; None if it is refused for one of the reasons there are."""
    try:
        return call()
    except TypeError as error:
        if by_host and WHOLE.search(str(error)) and has_whole_registers(signature):
            return None
        if UNKNOWN.search(str(error)) and has_structs(signature):
            return None
        raise


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("optimize", ["-O0", "-O2"])
def test_values_arrive_as_the_compiler_passes_them(seed: int, optimize: Optimization) -> None:
    found, source = signatures(seed, COUNT)
    module = tmebox.compile(source_text=source, optimize=optimize, flags=("-w", "-std=gnu17"))
    arrived: dict[int, Any] = {}

    def host(signature: Signature) -> Any:
        def function(*values: Any) -> Any:
            arrived[signature.number] = values
            return signature.result[1]

        return function

    imports = {f"host{signature.number}": host(signature) for signature in found}
    refused = 0
    with tmebox.Sandbox(module, imports=imports) as sandbox:
        exports = sandbox.exports
        for signature in found:
            n, text = signature.number, str(module.exports[f"take{signature.number}"])
            values = [value for _, value in signature.parameters]
            taken = attempt(signature, partial(exports[f"take{n}"], *values))
            assert taken in (0, None), text
            result, value = signature.result
            given = attempt(signature, exports[f"give{n}"])
            assert given is None or same(result, given, value), (result, given, value)
            refused += taken is None or given is None
            for way in ("pass", "callback"):
                arrived.clear()
                passed = attempt(signature, exports[f"{way}{n}"], by_host=True)
                assert passed in (0, None), (way, text)
                if passed == 0:
                    pairs = zip(signature.parameters, arrived[n], strict=True)
                    wrong = [(got, v, m.name) for (m, v), got in pairs if not same(m, got, v)]
                    assert not wrong, (way, text)
    assert refused < COUNT / 2
