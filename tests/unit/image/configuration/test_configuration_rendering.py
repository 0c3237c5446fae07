"""Definitions shown again: round trips, apko's own output, redaction, identity; and the published schema."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultCollector
from apkiln.formats.yamlnode.compose import compose
from apkiln.image.configuration import keys
from apkiln.image.configuration.loading import load_configuration
from apkiln.image.configuration.model import (
    Accounts,
    BaseImage,
    Certificates,
    CommandLine,
    Contents,
    Entrypoint,
    Group,
    Healthcheck,
    ImageConfiguration,
    Include,
    KeyringEntry,
    Layering,
    NamedContent,
    PackageRequest,
    PathMutation,
    RepositoryEntry,
    SbomSettings,
    User,
)
from apkiln.image.configuration.published_reference import reference
from apkiln.image.configuration.published_schema import json_schema
from apkiln.image.configuration.reading import read_configuration
from apkiln.image.configuration.rendering import completed, definition_digest, document, image_copy, origins, render_yaml

ROOT = Path(__file__).resolve().parents[4]
CONFORMANCE = ROOT.parent / "shared" / "conformance"
RUNS = CONFORMANCE / "apko-runs"

WORD = st.text(string.ascii_letters + string.digits, min_size=1, max_size=6)
ANY = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
LINE = st.text(string.printable.replace("\n", "").replace("\r", "").replace("\0", ""), min_size=1, max_size=10).filter(str.strip)
FILLED = ANY.filter(str.strip)
PAIRS = st.dictionaries(WORD, ANY, max_size=3).map(lambda found: tuple(sorted(found.items())))
NUMBER = st.integers(0, 2**32 - 1)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
WORDS = st.lists(WORD, max_size=3).map(tuple)
FILLED_WORDS = st.lists(WORD, min_size=1, max_size=3).map(tuple)
REPOSITORIES = st.lists(st.builds(RepositoryEntry, WORD.map(lambda word: f"https://example.com/{word}")), max_size=2).map(tuple)
NAMED = st.lists(st.builds(NamedContent, WORD, FILLED), max_size=2, unique_by=lambda item: item.name).map(tuple)
COMMANDS = st.one_of(
    st.builds(CommandLine, st.lists(WORD, max_size=2).map(" ".join)), st.builds(CommandLine, st.just(""), FILLED_WORDS)
)
KEYRING = st.lists(
    st.one_of(
        st.builds(KeyringEntry, WORD, st.just("")),
        st.builds(KeyringEntry, WORD, HEX),
        st.builds(KeyringEntry, WORD.map(lambda word: f"https://example.com/{word}"), HEX),
    ),
    max_size=2,
).map(tuple)
CONTENTS = st.builds(
    Contents,
    repositories=REPOSITORIES,
    build_repositories=REPOSITORIES,
    runtime_repositories=REPOSITORIES,
    keyring=KEYRING,
    runtime_keyring=NAMED,
    packages=st.lists(st.builds(PackageRequest, WORD, st.sampled_from([(), ("amd64",), ("arm64", "arm/v7")])), max_size=3).map(
        tuple
    ),
    baseimage=st.one_of(st.none(), st.builds(BaseImage, WORD, WORD)),
    drift=WORDS,
    no_runtime_repositories=st.booleans(),
)
OPTIONAL = st.one_of(st.none(), NUMBER)
MUTATIONS = st.builds(
    PathMutation,
    path=WORD.map(lambda word: f"/{word}"),
    type=st.just("file"),
    uid=OPTIONAL,
    gid=OPTIONAL,
    permissions=st.one_of(st.none(), st.integers(0, 0o7777)),
    source=ANY,
    recursive=st.booleans(),
    content=ANY,
    from_path=st.just(""),
    sha256=st.one_of(st.just(""), HEX),
    force=st.booleans(),
    follow=st.booleans(),
    xattrs=st.dictionaries(WORD.map(lambda word: f"user.{word}"), WORD, max_size=2).map(
        lambda found: tuple(sorted(found.items()))
    ),
    if_exists=st.sampled_from(["", "error", "skip", "replace"]),
)
USERS = st.builds(
    User, WORD, st.integers(1, 2**32 - 1), OPTIONAL, st.sampled_from(["", "/bin/x"]), st.sampled_from(["", "/h"]), WORDS
)
DEFINITIONS = st.builds(
    ImageConfiguration,
    contents=CONTENTS,
    entrypoint=st.builds(
        Entrypoint,
        st.sampled_from(["", "service-bundle"]),
        COMMANDS,
        ANY,
        st.dictionaries(WORD, LINE, max_size=2).map(lambda found: tuple(sorted(found.items()))),
    ),
    cmd=COMMANDS,
    stop_signal=ANY,
    work_dir=ANY,
    accounts=st.builds(
        Accounts,
        st.sampled_from(["", "0", "app", "app:app"]),
        st.lists(USERS, max_size=2).map(tuple),
        st.lists(st.builds(Group, WORD, NUMBER, WORDS), max_size=2).map(tuple),
        st.booleans(),
    ),
    archs=st.lists(st.sampled_from(["amd64", "arm64", "all", "host", "unheard-of"]), max_size=3).map(tuple),
    environment=PAIRS,
    paths=st.lists(MUTATIONS, max_size=2).map(tuple),
    vcs_url=WORD,
    annotations=PAIRS,
    include=st.lists(st.builds(Include, WORD, st.one_of(st.just(""), HEX)), max_size=2).map(tuple),
    volumes=WORDS,
    layering=st.one_of(st.none(), st.builds(Layering, st.sampled_from(["", "origin"]), st.integers(0, 9), st.just(()))),
    format=st.sampled_from(["", "tar", "erofs"]),
    certificates=st.builds(Certificates, NAMED, WORDS),
    labels=st.one_of(st.none(), PAIRS),
    healthcheck=st.one_of(
        st.none(), st.builds(Healthcheck, st.just(("CMD", "x")), st.sampled_from(["", "30s"]), retries=st.integers(0, 9))
    ),
    ports=st.sampled_from([(), ("80/tcp",)]),
    os_release=st.sampled_from([(), (("NAME", "x y"), ("VERSION_ID", "1.10"))]),
    sbom=st.builds(
        SbomSettings, st.sampled_from([(), ("spdx", "cyclonedx")]), st.sampled_from(["", "https://x.example/y"]), WORD, WORDS
    ),
    scripts=st.sampled_from(["", "report", "ignore", "fail"]),
    merge=st.sampled_from(["", "deep"]),
)


def read(content: bytes) -> ImageConfiguration:
    faults = FaultCollector.empty()
    found = read_configuration(compose(content, "f", faults), faults, [])
    faults.raise_if_any()
    return found


@given(DEFINITIONS)
def test_a_definition_printed_and_read_again_is_the_same(definition: ImageConfiguration) -> None:
    assert read(render_yaml(definition).encode()) == definition
    as_json = json.dumps(document(definition))
    # YAML has no surrogate pairs and no raw DEL: the two places where JSON is no part of it.
    if "\\ud" not in as_json and "\x7f" not in as_json:
        assert read(as_json.encode()) == definition


@given(DEFINITIONS)
def test_completing_twice_is_completing_once(definition: ImageConfiguration) -> None:
    once = completed(definition)
    assert completed(once) == once


@given(DEFINITIONS, DEFINITIONS)
def test_the_digest_tells_definitions_apart(one: ImageConfiguration, other: ImageConfiguration) -> None:
    def meaning(definition: ImageConfiguration) -> ImageConfiguration:
        return completed(definition)._replace(include=(), merge="")

    assert (definition_digest(one) == definition_digest(other)) == (document(meaning(one)) == document(meaning(other)))


def test_the_digest_is_pinned() -> None:
    sample = read(
        b"contents: {repositories: [r], packages: [a, b]}\narchs: [x86_64]\naccounts: {users: [{username: u, uid: 7}]}\n"
    )
    assert str(definition_digest(sample)) == "sha256:8ae71045e1d46a8f8d905084cfc7e741d9749d1a9e7f1568dec29cd4d7262039"


def test_no_credential_is_shown() -> None:
    text = b"""
contents:
  repositories: ['https://u:hunter2@example.com/a', '@t https://u:hunter2@example.com/b']
  build_repositories: ['https://u:hunter2@example.com/c']
  runtime_repositories: ['https://hunter2@example.com/d']
  keyring: ['https://u:hunter2@example.com/k', {url: 'https://u:hunter2@example.com/k', sha256: 'SUM'}]
  baseimage: {image: 'https://u:hunter2@example.com/i'}
vcs-url: https://u:hunter2@example.com/r@c0ffee
include: {url: 'https://u:hunter2@example.com/i', sha256: 'SUM'}
""".replace(b"SUM", b"a" * 64)
    found = read(text)
    copy = image_copy(found, Arch.parse("x86_64"), ["a=1"], "")
    shown = render_yaml(found) + json.dumps(copy) + json.dumps(origins(found))
    assert "hunter2" not in shown
    assert "@t https://example.com/b" in shown


def test_the_copy_for_the_image_keeps_an_owner_of_0_that_was_given() -> None:
    text = b"contents: {repositories: [r]}\naccounts: {users: [{username: u, uid: 7, gid: 0}]}\n"
    text += b"paths: [{path: /a, type: directory, uid: 0, permissions: 0}, {path: /b, type: directory, gid: 0}]\n"
    copy = image_copy(read(text), Arch.parse("x86_64"), [], "")
    assert copy["accounts"]["users"] == [{"username": "u", "uid": 7, "gid": 0, "homedir": "/home/u"}]
    assert copy["paths"] == [{"path": "/a", "type": "directory", "uid": 0}, {"path": "/b", "type": "directory", "gid": 0}]


def recorded() -> list[Path]:
    return sorted(RUNS.glob("cases/*/expect/show-config.yaml"))


@pytest.mark.parametrize(
    "case", ["minimal", "paths-all", "entrypoint-command", "certificates-additional", "layering-empty", "tag-pin"]
)
def test_the_form_is_that_of_apko_byte_for_byte(case: str) -> None:
    if not recorded():
        pytest.skip("recorded runs of apko are not there")

    def read_file(name: str) -> bytes | None:
        return (RUNS / name).read_bytes() if (RUNS / name).is_file() else None

    found = load_configuration(f"cases/{case}/apko.yaml", read_file).configuration
    assert render_yaml(completed(found)) == (RUNS / "cases" / case / "expect" / "show-config.yaml").read_text()


def test_the_copy_for_the_image_has_apkos_shape() -> None:
    if not recorded():
        pytest.skip("recorded runs of apko are not there")
    compared = 0
    for path in sorted(RUNS.glob("cases/*/expect/layer-*.json")):
        texts = [entry["text"] for entry in json.loads(path.read_bytes())["entries"] if entry["path"] == "etc/apko.json"]
        case = path.parents[1].name
        if not texts or case in ("repositories-flags", "secret-in-url"):
            continue  # flags beyond the file; the peer shows the password
        wanted = json.loads(texts[0])
        try:
            found = load_configuration(
                f"cases/{case}/apko.yaml", lambda name: (RUNS / name).read_bytes() if (RUNS / name).is_file() else None
            ).configuration
        except ApkilnError:
            continue
        got = image_copy(
            found, Arch.parse(wanted["archs"][0]), wanted["contents"]["packages"], wanted["accounts"].get("run-as", "")
        )
        for name in ("repositories", "keyring"):
            got["contents"][name].sort()
        assert json.dumps(got) == json.dumps(wanted), case
        compared += 1
    assert compared > 50


def test_every_key_of_the_table_is_read_and_shown() -> None:
    """The table, the reader and the renderer speak of the same keys."""
    samples: dict[str, Any] = {
        "": {"layering": {"strategy": "origin"}, "format": "tar", "scripts": "fail", "merge": "deep", "ports": ["80"]},
    }
    for key in keys.SECTIONS[""]:
        value = samples[""].get(key.name, _sample(key.kind))
        shown = document(read(json.dumps({key.name: value}).encode()))
        assert list(shown) == [key.name], key


def _sample(kind: str) -> Any:
    form, _, section = kind.partition(":")
    simple = {"text": "x", "texts": ["x"], "pairs": {"NAME": "x"}, "command": "x", "integer": 1, "boolean": True}
    chosen = {
        "contents": {"packages": ["a"]},
        "entrypoint": {"command": "x"},
        "accounts": {"run-as": "x"},
        "path": {"path": "/x", "type": "directory"},
        "certificates": {"providers": ["x"]},
        "healthcheck": {"test": ["NONE"]},
        "sbom": {"supplier": "x"},
    }
    if form in ("list", "mixed"):
        return [chosen[section]]
    return simple[form] if form in simple else chosen.get(section, "x")


def test_the_published_schema_is_the_table() -> None:
    assert (ROOT / "docs" / "schema" / "image.schema.json").read_bytes() == canonical_json.encode_pretty(json_schema())
    assert (ROOT / "docs" / "image-definition.md").read_text(encoding="utf-8") == reference()


def test_the_schema_accepts_what_we_accept_and_refuses_unknown_keys() -> None:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    Draft202012Validator.check_schema(json_schema())
    validator = Draft202012Validator(json_schema())
    paths = [*(CONFORMANCE / "apko" / "examples").rglob("*.yaml"), *(ROOT / "examples").rglob("image.yaml")]
    import yaml

    for path in paths:
        assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == [], path
    mistakes: list[dict[str, Any]] = [
        {"contants": {}},
        {"contents": {"package": []}},
        {"paths": [{"typ": "file"}]},
        {"format": "zip"},
        {"archs": "x"},
    ]
    for wrong in mistakes:
        assert list(validator.iter_errors(wrong)), wrong


@given(DEFINITIONS)
def test_the_schema_accepts_every_definition_that_is_shown(definition: ImageConfiguration) -> None:
    from jsonschema import Draft202012Validator

    assert list(Draft202012Validator(json_schema()).iter_errors(document(definition))) == []


def test_repositories_with_a_space_are_read_and_not_written() -> None:
    found = read(b"contents: {repositories: [a b, '@t c', d e]}\n")
    with pytest.raises(ApkilnError) as caught:
        render_yaml(found)
    assert [fault.reason for fault in caught.value.faults] == ["bad-value", "bad-value"]  # type: ignore[attr-defined]
