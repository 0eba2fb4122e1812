"""The TME-Box paper's measurements (NDSS 2025, figures 7 and 8), as reference marks in charts.

SPEC CPU2017, reference inputs, compiled with -O3, on a Xeon Gold 6530. Other programs on another machine than
ours: to be compared by form and size, not bar by bar.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Overhead:
    """Run time over native, percent, by isolation."""

    data: float
    code_and_data: float


GEOMEANS = {"gs": Overhead(5.2, 9.7), "r15": Overhead(13.4, 17.7)}
"""By base; figure 7 is gs, figure 8 is r15."""
FIGURES = {"gs": 7, "r15": 8}
WORST = {"gs": Overhead(9.8, 20.5), "r15": Overhead(22.4, 32.1)}
"""The greatest bar of each kind."""
