"""The benchmark suite: the same programs natively, in sandboxes of every kind, and as WebAssembly."""
