"""Indexes and packages: found, fetched, verified and cached."""
