"""Building a package: root, workspace, steps in the sandbox, trees of what they leave (spec package.md §8, §9)."""
