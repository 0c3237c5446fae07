"""Changes to the text of a definition that leave every other byte as it is (spec package.md §15.4)."""
