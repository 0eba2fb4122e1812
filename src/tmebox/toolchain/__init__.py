"""From source to module file: compile, rewrite, assemble, link. Nothing here is trusted."""
