"""Which packages make which tree: who owns a path, package segments, the tree as a value, the installed database."""
