"""The user's description of an image: read from YAML with every place kept, merged, checked, shown again (spec image.md §2)."""
