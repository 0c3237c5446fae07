"""Signed statements about artefacts: in-toto statements in DSSE envelopes."""
