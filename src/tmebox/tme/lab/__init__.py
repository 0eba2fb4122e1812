"""A guided tour of TME-MK: the paper's figures and the attacks, run live, as steps that say what every layer
saw."""

from __future__ import annotations
