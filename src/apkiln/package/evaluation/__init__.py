"""Variables, transforms, ranges and conditions of a definition, for all architectures alike (spec package.md §4)."""
