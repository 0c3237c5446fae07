"""Building a published package again and comparing the bytes (spec package.md §15.8)."""
