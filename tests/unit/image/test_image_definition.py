"""Definitions whose documents are remembered."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

import pytest

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.value import replace
from apkiln.formats.yamlnode import stored
from apkiln.image.configuration.loading import LoadedConfiguration
from apkiln.image.definition import read_definition
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_store import MemoryStore

TABLE = "yaml-documents"
BASE = b"contents: {packages: [base, 'python~3.1'], repositories: [/r]}\n"
TEXT = b"include: base.yaml\nenvironment: {A: 1.10}\ncmd: |\n  run this\n"


def load(store: MemoryStore | None, text: bytes = TEXT, limits: int = DEFAULT_LIMITS.document) -> LoadedConfiguration:
    files = MemoryFiles({"/d/image.yaml": text, "/d/base.yaml": BASE})
    return read_definition(files, PurePosixPath("/d"), "image.yaml", replace(DEFAULT_LIMITS, document=limits), store=store)


def key(text: bytes) -> str:
    return f"{hashlib.sha256(text).hexdigest()}.{stored.VERSION}"


def test_a_remembered_definition_is_the_same() -> None:
    store, plain = MemoryStore(), load(None)
    for _ in range(2):
        found = load(store)
        assert found == plain
        assert repr(found) == repr(plain)  # with the origins, which equality passes over
    assert {name for table, name in store.rows() if table == TABLE} == {key(TEXT), key(BASE)}


def test_the_kept_nodes_are_used() -> None:
    store = MemoryStore()
    load(store)
    kept = store.get(TABLE, key(BASE))
    assert kept is not None
    store.put(TABLE, key(BASE), kept.replace(b"python~3.1", b"python~3.9"))
    assert [item.text for item in load(store).configuration.contents.packages] == ["base", "python~3.9"]
    store.damage_row(TABLE, key(BASE))
    assert load(store) == load(None)


@pytest.mark.parametrize("text", [b"contents: {packages: [a], packages: [b]}\n", b"contents: [\n", b"\xff\n"])
def test_faults_are_found_each_time(text: bytes) -> None:
    store = MemoryStore()
    for _ in range(2):
        with pytest.raises(ApkilnError) as plain:
            load(None, text)
        with pytest.raises(ApkilnError) as found:
            load(store, text)
        assert (found.value.reason, found.value.origin, found.value.details) == (
            plain.value.reason,
            plain.value.origin,
            plain.value.details,
        )


def test_the_limit_holds_for_what_is_remembered() -> None:
    store = MemoryStore()
    load(store)
    with pytest.raises(ApkilnError):
        load(store, limits=len(TEXT) - 1)


def test_a_full_cache_refuses_no_definition() -> None:
    assert load(MemoryStore(capacity=0)) == load(None)
