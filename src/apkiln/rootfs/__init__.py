"""Which packages make which tree, who owns a path, and the installed database."""
