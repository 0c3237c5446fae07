"""What programs ask without a token: the newest version of a package, and what changed."""

from __future__ import annotations

import json

from tests.page_visitor import Visitor
from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, created, places, publish, selection

from apkiln.repository.equipment import Policy
from apkiln.repository.ledger.actions import Manifest

ARCHES = ("x86_64", "aarch64")


def busy() -> Visitor:
    service = created(places(), Policy(sign_packages=False, two_persons=False), ARCHES)
    for version in ("1.0-r0", "1.10-r0", "1.9-r0"):
        packages = [sample_package("a", version, arch) for arch in ARCHES]
        publish(service, *packages, overrides=("downgrade",))
    service.run(ALICE, Manifest(withdraw=(selection(sample_package("a", "1.10-r0", "aarch64"), arch="aarch64", name="a"),)))
    return Visitor(service)


def test_the_newest_version_of_a_package() -> None:
    visitor = busy()
    answer = visitor.get("/os/api/v1/packages/a")
    assert answer.status == 200, answer.text
    document = json.loads(answer.body)
    assert document["latest"] == {"x86_64": "1.10-r0", "aarch64": "1.9-r0"}
    assert [(item["version"], item["arch"], item["state"]) for item in document["versions"]] == [
        ("1.10-r0", "aarch64", "withdrawn"),
        ("1.10-r0", "x86_64", "live"),
        ("1.9-r0", "aarch64", "live"),
        ("1.9-r0", "x86_64", "live"),
        ("1.0-r0", "aarch64", "live"),
        ("1.0-r0", "x86_64", "live"),
    ]
    assert visitor.get("/os/api/v1/packages/none").status == 404


def test_what_changed() -> None:
    visitor = busy()
    found = json.loads(visitor.get("/os/api/v1/diff?from=1&to=2").body)
    assert found == {"origin": 1, "target": 2, "added": ["aarch64/a-1.0-r0", "x86_64/a-1.0-r0"], "removed": []}
    assert json.loads(visitor.get("/os/api/v1/diff?from=5&to=4").body)["added"] == ["aarch64/a-1.10-r0"]
    assert visitor.get("/os/api/v1/diff?from=1&to=99").status == 404


def test_head_has_the_headers_of_get() -> None:
    visitor = busy()
    for path in ("packages/a", "packages/none", "diff?from=1&to=2"):
        get, head = visitor.get(f"/os/api/v1/{path}"), visitor.get(f"/os/api/v1/{path}", "HEAD")
        assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


def test_everything_else_needs_a_token_and_private_repositories_need_one_for_this_too() -> None:
    visitor = busy()
    for path in ("tx/1", "reconcile", "blobs/" + "0" * 64):
        assert visitor.get(f"/os/api/v1/{path}").status == 401
    assert visitor.get("/os/api/v1/packages/a", "POST").status == 401
    private = Visitor(created(), private=True)
    for path in ("packages/a", "diff?from=0&to=1"):
        assert private.get(f"/os/api/v1/{path}").status == 401
