"""Newer versions of what a definition builds: asked for, filtered, chosen (spec package.md §16)."""
