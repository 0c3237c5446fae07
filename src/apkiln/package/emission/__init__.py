"""Output trees become signed packages with their bill of materials, and a statement of how they came about."""
