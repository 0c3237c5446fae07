"""Tests of packages: a fresh root for each, in parallel, with reports (spec package.md §8.3)."""
