"""Questions to a definition, asked with a template (spec package.md §15.3)."""
