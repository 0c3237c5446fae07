"""Debian packages converted into apk packages without running any of their scripts."""
