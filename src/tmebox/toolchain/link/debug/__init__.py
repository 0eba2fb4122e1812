"""What the linked program's debugging information says."""
