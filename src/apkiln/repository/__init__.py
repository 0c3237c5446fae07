"""Directory repositories of apk packages: keys, adding, indexing, signing."""
