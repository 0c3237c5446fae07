"""Licence texts in sources: found, named, compared with what a definition says (spec package.md §15.6)."""
