from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, FormatError, VerificationError
from apkiln.formats.java_keystore import add_certificates, read_keystore, trusted_entry, write_keystore

ALIASES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
CERTIFICATES = st.lists(st.tuples(ALIASES, st.binary(max_size=200)), max_size=6)


@given(CERTIFICATES)
def test_what_is_written_is_read(certificates: list[tuple[str, bytes]]) -> None:
    entries = tuple(trusted_entry(alias, der, 1_700_000_000) for alias, der in certificates)
    assert read_keystore(write_keystore(entries)) == entries


@given(CERTIFICATES, CERTIFICATES)
def test_adding_keeps_others_and_replaces_equal_aliases(before: list[tuple[str, bytes]], added: list[tuple[str, bytes]]) -> None:
    store = write_keystore([trusted_entry(alias, der, 1) for alias, der in dict(before).items()])
    found = {entry.alias: entry.certificate for entry in read_keystore(add_certificates(store, added, 2))}
    expected = {alias.lower(): der for alias, der in before} | {alias.lower(): der for alias, der in added}
    assert found == expected


def test_adding_again_changes_nothing() -> None:
    once = add_certificates(write_keystore([]), [("A", b"der")], 5)
    assert add_certificates(once, [("A", b"der")], 5) == once


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=255))
def test_a_damaged_store_is_refused(position: int, change: int) -> None:
    store = bytearray(write_keystore([trusted_entry("alias", b"certificate", 1)]))
    store[position % len(store)] ^= change
    with pytest.raises(ApkilnError):
        read_keystore(bytes(store))


@pytest.mark.parametrize("cut", [0, 10, 31, 40])
def test_a_cut_store_is_refused(cut: int) -> None:
    store = write_keystore([trusted_entry("alias", b"certificate", 1)])
    with pytest.raises((FormatError, VerificationError)):
        read_keystore(store[:cut])


def test_the_password_counts() -> None:
    with pytest.raises(VerificationError) as caught:
        read_keystore(write_keystore([], "other"))
    assert caught.value.reason == "keystore-digest"
