"""Debian packages as apk packages: closure from verified metadata, mapping, conversion, and a record of every decision."""
