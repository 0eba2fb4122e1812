"""Many sandboxes from one snapshot, for tasks and leases."""
