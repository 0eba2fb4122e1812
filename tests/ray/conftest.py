"""A Ray cluster of two nodes on this machine, each with its own processes; skipped where Ray is missing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

SMALL_BYTES, LARGE_BYTES = 400 << 20, 4000 << 20
STORE_BYTES = 80 << 20


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """The first node has little memory to give, the second has much."""
    os.environ.update(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        RAY_USAGE_STATS_ENABLED="0",
    )
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'tmebox[ray]')")
    utils = pytest.importorskip("ray.cluster_utils")
    node = {"num_cpus": 2, "object_store_memory": STORE_BYTES}
    nodes = utils.Cluster(
        initialize_head=True,
        head_node_args={**node, "memory": SMALL_BYTES, "include_dashboard": False},
    )
    nodes.add_node(**node, memory=LARGE_BYTES)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()
