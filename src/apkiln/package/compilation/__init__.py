"""A definition resolved for one architecture: pipelines loaded, inputs and variables replaced (spec package.md §4.7)."""
