"""What the core has to know before any sandbox is made: what it raises, and which registers it clears."""

from __future__ import annotations

from tmebox import _native
from tmebox.errors import BadReference, LimitError, SandboxBusy, SandboxClosed
from tmebox.runtime import signals

_native.configure(busy=SandboxBusy, closed=SandboxClosed, limit=LimitError, reference=BadReference)
signals.keep_open()
# Whatever verified code can touch, not only what the module at hand uses: a sandbox can reach every module's
# functions, also those of one that is loaded while it runs. No rule accepts AVX-512; that is for speed.
_native.set_vector_policy(avx=_native.cpu_features()["avx"], avx512=_native.cpu_features()["avx512vl"])
