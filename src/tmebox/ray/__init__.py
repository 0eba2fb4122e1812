"""Tasks in sandboxes on other machines, by way of Ray: `pip install tmebox[ray]`.

with tmebox.ray.pool(snapshot, timeout=1.0) as pool:
    for result in pool.map("score", rows):
        …
"""

try:
    import ray  # noqa: F401
except ImportError as error:
    raise ImportError("tmebox.ray needs Ray: pip install 'tmebox[ray]'") from error

from tmebox.ray.errors import RemoteTraceback, WorkerLost
from tmebox.ray.pool import RayPool, pool

__all__ = ["RayPool", "RemoteTraceback", "WorkerLost", "pool"]
