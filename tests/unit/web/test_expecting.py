"""Recipes and image locks against a repository; and what Prometheus is told of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, created, places, publish, selection, started

from apkiln.repository.expectations import Expectations, LockedImage, Recipe
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.ledger.packages import Key
from apkiln.repository.reconciling import Incidents, compare
from apkiln.system.files import DiskFiles
from apkiln.web.application import Hosted
from apkiln.web.expecting import ExpectConfiguration, Expecting
from apkiln.web.metrics import metrics_text

HOUR = 3_600_000
RECIPE = "package:\n  name: {name}\n  version: 1.0\n  epoch: 0\n  description: x\n  copyright:\n    - license: MIT\n"
URL = "https://packages.example.com/os"


def test_a_recipe_that_nobody_publishes_is_the_incident_itself() -> None:
    where = places()
    service = created(where, arches=("x86_64", "aarch64"))
    now = int(where.clock.now() * 1000)
    expected = Expectations((Recipe("a", "1.0-r0", (), now), Recipe("b", "1.0-r0", ("x86_64",), now)))
    assert list(compare(service, expected)) == [], "it may take a while"
    publish(service, sample_package("a"), sample_package("b"))
    where.clock.advance(2 * 3600)
    found = [(item.kind, item.subject, item.detail) for item in compare(service, expected)]
    assert found == [("unbuilt", "a-1.0-r0", "not live for aarch64")]
    publish(service, sample_package("a", arch="aarch64"))
    assert list(compare(service, expected)) == []
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("b")),)))
    assert [item.subject for item in compare(service, expected) if item.kind == "unbuilt"] == ["b-1.0-r0"]


def test_images_with_old_and_withdrawn_packages() -> None:
    where = places()
    service = created(where)
    publish(service, sample_package("a"), sample_package("b"))
    keys = tuple(Key("x86_64", name, "1.0-r0") for name in ("a", "b", "of-another-repository"))
    expected = Expectations(images=(LockedImage("web", keys),))
    assert list(compare(service, expected)) == []
    publish(service, sample_package("a", "2.0-r0"))
    assert list(compare(service, expected)) == [], "an image has a day"
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("b")),)), "w")
    where.clock.advance(25 * 3600)
    found = [(item.kind, item.subject) for item in compare(started(where), expected)]
    assert found == [("image-stale", "web a"), ("image-withdrawn", "web")]


def lock(*urls: str) -> bytes:
    member = {"range": "bytes=0-9", "checksum": "sha1-" + "A" * 27 + "="}
    packages = [
        {
            "name": "a",
            "url": url,
            "version": "1.0-r0",
            "architecture": "x86_64",
            "signature": {"range": "", "checksum": ""},
            "control": member,
            "data": {"range": "bytes=10-19", "checksum": "sha256-" + "A" * 43 + "="},
            "checksum": "Q1" + "A" * 27 + "=",
        }
        for url in urls
    ]
    contents = {"keyring": [], "build_repositories": [], "runtime_repositories": [], "repositories": [], "packages": packages}
    return json.dumps({"version": "v1", "contents": contents}).encode()


def test_reading_recipes_and_locks(tmp_path: Path) -> None:
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "a.yaml").write_text(RECIPE.format(name="a"))
    (recipes / "bad.yaml").write_text("package: [")
    (recipes / "README.md").write_text("no recipe")
    (tmp_path / "web.json").write_bytes(lock(f"{URL}/x86_64/a-1.0-r0.apk"))
    (tmp_path / "other.json").write_bytes(lock("https://else.example/os/x86_64/a-1.0-r0.apk"))
    reader = Expecting(ExpectConfiguration("recipes", ("web.json", "other.json", "missing.json")), tmp_path, DiskFiles())
    found = reader.read(URL, 5)
    assert found.recipes == (Recipe("a", "1.0-r0", (), 5),)
    assert [image.packages for image in found.images] == [(Key("x86_64", "a", "1.0-r0"),), ()]
    assert [name for name, _ in found.unreadable] == ["bad.yaml", "missing.json"]
    assert reader.read(URL, 9 * HOUR).recipes == found.recipes, "since when is that of the first look"
    service = created()
    kinds = [item.kind for item in compare(service, found._replace(build_time=0))]
    assert kinds == ["unreadable", "unreadable", "unbuilt"]


def test_metrics_have_ages() -> None:
    where = places()
    service = created(where)
    publish(service, sample_package("a"))
    incidents = Incidents()
    now = int(where.clock.now() * 1000)
    broken = compare(service, Expectations((Recipe("x", "1-r0", (), 0),), unreadable=(("f", "why"),)))
    incidents.take(broken, now)
    text = metrics_text({"os": Hosted(service, incidents=incidents)}, {200: 3}, now + 90_000)
    samples = dict(re.findall(r"^([a-z_]+\{[^}]*\}) (\S+)$", text, re.M))
    assert samples['repo_difference_total{repo="os",class="unbuilt"}'] == "1"
    assert samples['repo_difference_oldest_seconds{repo="os",class="unbuilt"}'] == "90"
    assert samples['repo_generation{repo="os"}'] == "2"
    assert samples['repo_generation_age_seconds{repo="os"}'] == "90"
    assert samples['publish_seconds{repo="os",quantile="0.95"}'] == "0.0"
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\} \S+', line), line
    typed = re.findall(r"^# TYPE (\S+)", text, re.M)
    assert len(typed) == len(set(typed))


def test_parts_of_uploads_are_forgotten_with_their_transaction() -> None:
    from tests.api_client import Body, Client
    from tests.service_workshop import hex_of

    asking = Client(created())
    package = sample_package("a")
    number = asking.open(package).json()["tx"]
    path, size = f"blobs/{hex_of(package)}", len(package.data)
    assert asking.ask("PUT", path, Body((package.data[:10],)), content_range=f"bytes 0-9/{size}").status == 202
    asking.application.sweep_uploads()
    assert asking.ask("GET", path).json() == {"received": 10}
    asking.ask("DELETE", f"tx/{number}")
    asking.application.sweep_uploads()
    assert asking.files.snapshot() == {}
