"""Boxed libraries beside the same ones called by cffi and by wasmtime-py."""
