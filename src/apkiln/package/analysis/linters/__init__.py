"""Checks of finished packages, one module per kind of thing they look at (spec package.md §14)."""
