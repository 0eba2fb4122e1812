"""A sandbox's exports by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from tmebox.shown import some_of

if TYPE_CHECKING:
    from tmebox.runtime.sandbox import Sandbox


class Exports(Mapping[str, Callable[..., Any]]):
    """All exports of a sandbox's module by name, those that are named like its attributes or begin with an
    underscore as well: `sandbox.exports["close"](3)`. An export without a known prototype takes and
    returns integers, as call_raw does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __getitem__(self, name: str) -> Callable[..., Any]:
        sandbox = self._sandbox
        if name not in sandbox.module.exports:
            raise KeyError(name)
        if sandbox.module.exports[name] is None:
            return partial(sandbox.call_raw, name)
        export, tenancy = sandbox._export(name), sandbox._tenancy
        return export.bind(tenancy.instance, tenancy, sandbox)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sandbox.module.exports)

    def __len__(self) -> int:
        return len(self._sandbox.module.exports)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a sandbox's functions are not copied or pickled: its module can be, and a snapshot")

    def __repr__(self) -> str:
        return f"<tmebox exports: {some_of(self)}>"
