"""Debian's formats: `.deb` archives, control data, versions, relations, copyright files, release files, source lists."""
