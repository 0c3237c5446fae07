"""The package definition as a value: its keys, how it is read, checked and shown (spec package.md §2, §3)."""
