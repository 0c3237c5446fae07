"""Maintainer scripts as lists of declared steps: read and followed on paper, never run (spec debian.md §8)."""
