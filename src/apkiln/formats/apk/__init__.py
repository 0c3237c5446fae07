"""The apk formats: versions, dependencies, packages, indexes, the installed database and the files around them (spec apk.md)."""
