"""Files that hold modules and snapshots: plain data, its codec, its checks."""
