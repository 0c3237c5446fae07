"""Install scripts and triggers of packages: never run, but read; what they would do is done by named rules, or told of
(spec image.md §5.4)."""
