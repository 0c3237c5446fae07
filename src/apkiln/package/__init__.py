"""Package building: from a definition to a package, with what it needs, brings and is made of (spec package.md)."""
