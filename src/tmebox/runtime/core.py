"""What the core has to know before any sandbox is made: what it raises, and which registers it clears."""

from __future__ import annotations

import os

from tmebox import _native, abi
from tmebox.errors import BadReference, LimitError, SandboxBusy, SandboxClosed
from tmebox.runtime import signals

_native.configure(busy=SandboxBusy, closed=SandboxClosed, limit=LimitError, reference=BadReference)
signals.keep_open()
# Whatever verified code can touch, not only what the module at hand uses: a sandbox can reach every module's
# functions, also those of one that is loaded while it runs. No rule accepts AVX-512; that is for speed.
_FEATURES = _native.cpu_features()
_native.set_vector_policy(avx=_FEATURES["avx"], avx512=_FEATURES["avx512vl"])
# What optional code is told that it may use. Whatever it is told, the registers above are cleared.
if _FEATURES["avx"] and _FEATURES["avx2"] and os.environ.get("TMEBOX_PROCESSOR") != "baseline":
    _native.set_processor(abi.PROCESSOR_AVX2)
