"""Rules that turn facts of files into relations between packages, one module per kind (spec package.md §13.2)."""
