"""Publishing with the commands a user has, to real registries, looked at by other people's programs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.clients import call, client
from tests.integration.conftest import Built, apkiln
from tests.integration.registries import crane_registry, debian_registry
from tests.integration.strict_registry import StrictServer, serve

from apkiln.system.memory_registry import Fault, MemoryRegistry, RegistryTraits, Reply
from apkiln.system.memory_registry_access import TokenGate

SPDX = "application/spdx+json"


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[str]:
    with debian_registry(tmp_path) as address:
        yield address


@pytest.fixture
def strict() -> Iterator[StrictServer]:
    with serve(MemoryRegistry()) as server:
        yield server


def publish(built: Built, source: Path, *words: str) -> str:
    flags = ["--vcs=false"] if source == built.definition else []
    return apkiln("image", "publish", source, *words, *flags, "--cache-dir", built.directory / "cache")


def failing(built: Built, *words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apkiln.cli.main", "image", "publish", str(built.layout), *words, "--json", "-q"]
    variables = {**os.environ, **(environment or {})}
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=variables)
    assert result.returncode != 0
    return result


def test_skopeo_and_crane_accept_what_debians_registry_got(built: Built, debian: str, tmp_path: Path) -> None:
    crane, skopeo = client("crane"), client("skopeo")
    digest = publish(built, built.definition, f"{debian}/team/app:1.0", f"{debian}/team/app:latest", f"{debian}/copy/app").strip()
    for reference in (f"{debian}/team/app:1.0", f"{debian}/team/app:latest", f"{debian}/copy/app:latest"):
        assert call([crane, "digest", reference]).strip() == digest
        call([crane, "validate", "--remote", reference])
    copied = tmp_path / "copied"
    source = f"docker://{debian}/team/app:1.0"
    call([skopeo, "copy", "--insecure-policy", "--all", "--src-tls-verify=false", source, f"oci:{copied}:latest"])
    (report,) = json.loads(apkiln("image", "audit", copied, "--json"))
    assert (report["violations"], report["packages"]) == ([], 3)


def test_crane_accepts_what_its_own_registry_got(built: Built, tmp_path: Path) -> None:
    crane = client("crane")
    with crane_registry(tmp_path) as address:
        digest = publish(built, built.definition, f"{address}/team/app:1.0", "--attach-sbom").strip()
        assert call([crane, "digest", f"{address}/team/app:1.0"]).strip() == digest
        call([crane, "validate", "--remote", f"{address}/team/app:1.0"])
        listed = json.loads(call([crane, "manifest", f"{address}/team/app:{digest.replace(':', '-')}"]))
        (row,) = listed["manifests"]
        assert row["artifactType"] == SPDX
        bill = json.loads(call([crane, "manifest", f"{address}/team/app@{row['digest']}"]))
        document = json.loads(call([crane, "blob", f"{address}/team/app@{bill['layers'][0]['digest']}"]))
        assert (bill["subject"]["digest"], document["spdxVersion"]) == (digest, "SPDX-2.3")


def test_definition_layout_and_archive_give_one_digest(built: Built, strict: StrictServer, tmp_path: Path) -> None:
    name = f"{strict.address}/app"
    archive, layout = tmp_path / "image.oci.tar", tmp_path / "layout"
    for output in (f"type=oci-archive,dest={archive}", f"type=oci-dir,dest={layout}"):
        words = ("--output", output, "--cache-dir", built.directory / "cache", "--vcs=false")
        apkiln("image", "build", built.definition, f"{name}:x", *words)
    for number, source in enumerate((built.definition, layout, archive)):
        printed = publish(built, source, f"{name}:{number}").strip()
        assert strict.registry.tags("app")[str(number)] == printed
    assert len(set(strict.registry.tags("app").values())) == 1


def test_an_image_is_copied_from_one_registry_to_another(built: Built, strict: StrictServer, debian: str) -> None:
    first = publish(built, built.layout, f"{strict.address}/app:1").strip()
    assert publish(built, Path(f"registry:{strict.address}/app:1"), f"{debian}/team/copy:1").strip() == first
    assert publish(built, Path(f"registry:{strict.address}/app@{first}"), f"{debian}/team/copy:2").strip() == first
    crane = client("crane")
    call([crane, "validate", "--remote", f"{debian}/team/copy:1"])
    assert call([crane, "digest", f"{debian}/team/copy:2"]).strip() == first


def test_an_unchanged_image_is_only_looked_for(built: Built, strict: StrictServer) -> None:
    words = (built.definition, f"{strict.address}/team/app:1", f"{strict.address}/team/app:2", "--attach-sbom", "--json")
    first = json.loads(publish(built, *words))
    strict.registry.asked.clear()
    second = json.loads(publish(built, *words))
    methods = [item.method for item in strict.registry.asked]
    assert set(methods) == {"HEAD", "GET"}
    assert [item.path for item in strict.registry.asked if item.method == "GET" and "referrers" not in item.path] == ["/v2/"]
    (repository,) = second["repositories"]
    blobs = repository["blobs"]
    assert strict.registry.count("HEAD", "/blobs/") == len(blobs)
    assert {row["outcome"] for row in blobs} == {"present"}
    assert (repository["moved"], repository["manifestsWritten"]) == ([], 0)
    assert first["repositories"][0]["moved"] == ["1", "2"]
    assert first["digest"] == second["digest"]


def test_blobs_are_mounted_and_tags_come_last(built: Built, strict: StrictServer, tmp_path: Path) -> None:
    refs = tmp_path / "refs.txt"
    tags = [f"{strict.address}/{name}" for name in ("one:a", "two:b", "one:c")]
    report = json.loads(publish(built, built.definition, *tags, "--image-refs", str(refs), "--json"))
    assert {row["outcome"] for row in report["repositories"][1]["blobs"]} == {"mounted"}
    writes = [item.path for item in strict.registry.asked if item.method == "PUT" and "/manifests/" in item.path]
    assert [path.rpartition("/")[2] for path in writes[-3:]] == ["a", "c", "b"]
    assert all("sha256:" in path for path in writes[:-3])
    lines = refs.read_text().split()
    assert lines[-1] == f"{strict.address}/two@{report['digest']}"
    assert len(lines) == 4
    assert {line.partition("@")[2] for line in lines} == set(strict.registry.manifests("one"))


def test_bills_are_found_as_referrers(built: Built, strict: StrictServer) -> None:
    for name, source in (("defined", built.definition), ("stored", built.layout)):
        digest = publish(built, source, f"{strict.address}/{name}:1", "--attach-sbom").strip()
        documents = [json.loads(content) for _, content in strict.registry.manifests(name).values()]
        (index,) = (document for document in documents if "manifests" in document)
        attached = [document for document in documents if "subject" in document]
        assert {document["subject"]["digest"] for document in attached} == {digest, index["manifests"][0]["digest"]}
        assert {document["artifactType"] for document in attached} == {SPDX}


def test_a_dry_run_asks_nobody(built: Built, strict: StrictServer) -> None:
    lines = publish(built, built.definition, f"{strict.address}/app:1", "--dry-run", "--attach-sbom").splitlines()
    assert strict.registry.asked == []
    kinds = [line.split()[0] for line in lines]
    assert kinds[0] == f"{strict.address}/app"
    assert kinds[-1] == "tag"
    assert {"blob", "manifest", "index", "attach"} <= set(kinds)


def test_logins_come_from_the_files_that_docker_and_podman_write(built: Built, strict: StrictServer, tmp_path: Path) -> None:
    strict.registry.gate = TokenGate(f"http://{strict.address}", (("me", "a-secret-word"),))
    reference = f"{strict.address}/team/app:1"
    nothing = {"REGISTRY_AUTH_FILE": str(tmp_path / "absent"), "HOME": str(tmp_path)}
    refused = failing(built, reference, environment=nothing)
    assert (refused.returncode, json.loads(refused.stderr)["error"]["reason"]) == (8, "unauthorized")
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text(
        '#!/bin/sh\nread -r host\n[ "$1" = get ] && echo "{\\"Username\\":\\"me\\",\\"Secret\\":\\"a-secret-word\\"}"\n'
    )
    helper.chmod(0o755)
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"credHelpers": {strict.address: "test"}}))
    (tmp_path / "wrong.json").write_text(json.dumps({"auths": {strict.address: {"auth": "bWU6d3JvbmctcGFzc3dvcmQ="}}}))
    wrong = failing(built, reference, environment={"REGISTRY_AUTH_FILE": str(tmp_path / "wrong.json")})
    assert json.loads(wrong.stderr)["error"]["reason"] == "unauthorized"
    assert "wrong-password" not in wrong.stderr and "bWU6d3JvbmctcGFzc3dvcmQ" not in wrong.stderr
    command = [sys.executable, "-m", "apkiln.cli.main", "image", "publish", str(built.layout), reference]
    path = f"{helper.parent}:{os.environ['PATH']}"
    call(command, {"DOCKER_CONFIG": str(tmp_path / "docker"), "PATH": path, "HOME": str(tmp_path)})
    assert list(strict.registry.tags("team/app")) == ["1"]


def test_podmans_own_login_file_is_understood(built: Built, strict: StrictServer, tmp_path: Path) -> None:
    podman = client("podman")
    strict.registry.gate = TokenGate(f"http://{strict.address}", (("me", "pass:word"),))
    file = tmp_path / "auth.json"
    words = ["login", "--authfile", str(file), "--tls-verify=false", "-u", "me", "-p", "pass:word", strict.address]
    call([podman, *words])
    command = [sys.executable, "-m", "apkiln.cli.main", "image", "publish", str(built.layout), f"{strict.address}/app:1"]
    call(command, {"REGISTRY_AUTH_FILE": str(file)})
    assert list(strict.registry.tags("app")) == ["1"]


def test_no_tag_moves_when_anything_fails(built: Built, strict: StrictServer) -> None:
    strict.registry.misbehave(Fault("PUT", "/v2/two/manifests/sha256:", status=403))
    refused = failing(built, f"{strict.address}/one:1", f"{strict.address}/two:1")
    assert json.loads(refused.stderr)["error"]["reason"] == "denied"
    assert (strict.registry.tags("one"), strict.registry.tags("two")) == ({}, {})
    strict.registry.traits = RegistryTraits(quota=10)
    refused = failing(built, f"{strict.address}/three:1")
    assert json.loads(refused.stderr)["error"]["reason"] == "quota-exceeded"


def test_a_changed_layer_is_not_published(built: Built, strict: StrictServer, tmp_path: Path) -> None:
    shutil.copytree(built.layout, tmp_path / "layout")
    layer = max((tmp_path / "layout" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(layer.read_bytes())
    data[-1] ^= 1
    layer.write_bytes(data)
    command = [sys.executable, "-m", "apkiln.cli.main", "image", "publish", str(tmp_path / "layout"), f"{strict.address}/app:1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 4
    assert strict.registry.tags("app") == {}
    assert f"sha256:{layer.name}" not in strict.registry.blobs("app")


class KillingRegistry(MemoryRegistry):
    """Kills its client when it asks for the `fatal`-th time: before the request is served, or after."""

    def __init__(self) -> None:
        super().__init__()
        self.fatal = -1
        self.after = False
        self.client = 0

    def handle(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Reply | None:
        if len(self.asked) + 1 != self.fatal:
            return super().handle(method, url, headers, body)
        if self.after:
            super().handle(method, url, headers, body)
        os.kill(self.client, signal.SIGKILL)
        return None


def test_a_push_killed_at_any_request_leaves_nothing_incomplete_under_a_tag(built: Built, tmp_path: Path) -> None:
    crane, registry = client("crane"), KillingRegistry()
    with serve(registry) as server:
        command = [sys.executable, "-m", "apkiln.cli.main", "image", "publish", str(built.layout), "--attach-sbom"]
        digest = call([*command, f"{server.address}/first:1"]).strip()
        requests = len(registry.asked)
        for fatal in range(2, requests + 1, 3):
            name, registry.fatal, registry.after = f"app{fatal}", fatal, fatal % 2 == 0
            registry.asked.clear()
            registry.blobs("first").clear()
            process = subprocess.Popen([*command, f"{server.address}/{name}:1"], stderr=subprocess.PIPE)
            registry.client = process.pid
            process.communicate(timeout=60)
            assert process.returncode == -signal.SIGKILL
            registry.fatal = -1
            if registry.tags(name):
                call([crane, "validate", "--remote", f"{server.address}/{name}:1"])
            assert call([*command, f"{server.address}/{name}:1"]).strip() == digest
            call([crane, "validate", "--remote", f"{server.address}/{name}:1"])


def test_podman_gets_the_image(built: Built, tmp_path: Path) -> None:
    podman = client("podman")
    short = tempfile.mkdtemp(prefix="pod")  # podman refuses run directories with long names
    storage = Path(short, "storage.conf")
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{short}/store"\nrunroot = "{short}/run"\n')
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(storage)}
    try:
        for words in (
            ["load", str(built.layout), "--tag", "example.com/loaded:1", "--engine", "podman"],
            ["publish", str(built.definition), "example.com/local:1", "--local", "--cache-dir", f"{built.directory}/cache"],
        ):
            call([sys.executable, "-m", "apkiln.cli.main", "image", *words], environment)
        listed = call([podman, "images", "--format", "{{.Repository}}:{{.Tag}}"], environment).split()
        assert sorted(listed) == ["example.com/loaded:1", "example.com/local:1"]
    finally:
        subprocess.run([podman, "rmi", "--all", "--force"], capture_output=True, check=False, timeout=60, env=environment)
        shutil.rmtree(short, ignore_errors=True)
