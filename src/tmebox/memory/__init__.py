"""Host address space: where text and windows live."""
