from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.formats.oci.documents import encode_configuration
from apkiln.image.configuration.model import CommandLine, Entrypoint, Healthcheck, ImageConfiguration
from apkiln.image.documents import (
    BuiltLayer,
    duration,
    environment,
    exposed_ports,
    image_annotations,
    image_configuration,
    process,
)
from apkiln.image.layer_recipe import LayerDigests, LayerRecipe, StoredLayer

TABLE = Path(__file__).resolve().parents[3].parent / "shared" / "conformance" / "apko" / "tables" / "oci-config.json"
DIGEST = Digest.sha256(bytes(32))
LAYER = BuiltLayer(StoredLayer(LayerRecipe(()), LayerDigests(DIGEST, DIGEST, 1)), ("a-1", "b-2"))


def recorded() -> list[Any]:
    return json.loads(TABLE.read_text())["cases"] if TABLE.exists() else []


@pytest.mark.parametrize("case", recorded(), ids=lambda case: case["name"])
def test_recorded_configurations(case: Any) -> None:
    definition = ImageConfiguration(environment=tuple(sorted(case["config"]["environment"].items())))
    found = image_configuration(definition, Arch.parse("amd64"), [LAYER], 0, "")
    want = case["want"]
    assert list(found.process.env) == want["env"]
    assert [name for name, _ in found.process.labels] == want["labels"]
    assert found.platform.os == want["os"]
    assert len(found.history) == len(want["history"])
    assert found.history[0].comment.replace("apkiln", "apko") == want["history"][0]["Comment"]


def test_commands_user_and_the_rest_reach_the_document() -> None:
    definition = ImageConfiguration(
        entrypoint=Entrypoint(command=CommandLine("/usr/bin/app --flag \"two words\" 'single q' back\\ slash")),
        cmd=CommandLine('serve "a b" $HOME'),
        stop_signal="SIGQUIT",
        work_dir="/srv",
        volumes=("/logs", "/data"),
        ports=("80", "53/udp"),
        annotations=(("t", "<&>"),),
        labels=(("l", "1"),),
        healthcheck=Healthcheck(("CMD", "true"), interval="1m30s", retries=3),
        vcs_url="https://user:secret@example.com/repo@abc",
    )
    document = json.loads(encode_configuration(image_configuration(definition, Arch.parse("arm/v7"), [LAYER], 86400, "65532")))
    assert document["config"] == {
        "Cmd": ["serve", "a b", "$HOME"],
        "Entrypoint": ["/usr/bin/app", "--flag", "two words", "single q", "back slash"],
        "Env": list(environment(())),
        "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 90 * 10**9, "Retries": 3},
        "Labels": {"l": "1"},
        "StopSignal": "SIGQUIT",
        "User": "65532",
        "Volumes": {"/data": {}, "/logs": {}},
        "WorkingDir": "/srv",
    }
    assert (document["architecture"], document["variant"]) == ("arm", "v7")
    assert document["created"] == "1970-01-02T00:00:00Z"
    assert document["history"][0]["created_by"] == "apkiln: a-1, b-2"


def test_annotations_name_source_and_revision_without_secrets() -> None:
    found = dict(image_annotations(ImageConfiguration(vcs_url="https://u:p@example.com/r@abc", annotations=(("a", "b"),)), 0))
    assert found == {
        "a": "b",
        "org.opencontainers.image.created": "1970-01-01T00:00:00Z",
        "org.opencontainers.image.source": "https://example.com/r",
        "org.opencontainers.image.revision": "abc",
    }
    assert "org.opencontainers.image.source" not in dict(image_annotations(ImageConfiguration(), 0, "no revision"))


def test_a_fragment_wins_over_the_command_and_a_bundle_starts_its_supervisor() -> None:
    both = Entrypoint(command=CommandLine("/x"), shell_fragment="set -e; x")
    assert process(ImageConfiguration(entrypoint=both), (), "").entrypoint == ("/bin/sh", "-c", "set -e; x")
    assert process(ImageConfiguration(entrypoint=Entrypoint("service-bundle")), (), "").entrypoint == ("/bin/s6-svscan", "/sv")


def test_durations_and_ports() -> None:
    assert [duration(text) for text in ("", "1.5s", "2h1m", "10ms")] == [0, 1_500_000_000, 7260 * 10**9, 10**7]
    assert exposed_ports("8000-8002/udp") == ("8000/udp", "8001/udp", "8002/udp")


@given(st.dictionaries(st.sampled_from(["PATH", "A", "B"]), st.text("xy", max_size=3)))
def test_the_environment_is_sorted_and_what_is_set_wins(given_pairs: dict[str, str]) -> None:
    lines = environment(given_pairs.items())
    assert list(lines) == sorted(lines)
    assert dict(line.split("=", 1) for line in lines) | given_pairs == dict(line.split("=", 1) for line in lines)
