"""Locks: the plan of an image as a file that builds it again (spec image.md §4)."""
