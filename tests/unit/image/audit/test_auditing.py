"""Whole audits of whole images: clean ones, and ones in which one thing is wrong."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from tests.sample_images import Item, blob, directory, docker_archive, layer_tar, oci_layout, symlink

from apkiln.core.errors import ApkilnError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.image.audit.accounting import RULES
from apkiln.image.audit.auditing import Bill, audit, read_image
from apkiln.image.audit.findings import AuditReport
from apkiln.image.place import open_place
from apkiln.image.stored import stored_images
from apkiln.system.memory_files import MemoryFiles

TOOL = b"#!/bin/sh\n"


def q1(content: bytes) -> str:
    return "Q1" + base64.b64encode(hashlib.sha1(content).digest()).decode()


DATABASE = f"""C:{q1(b"identity")}
P:tool
V:1.0-r0
A:x86_64
S:10
I:10
F:usr
F:usr/bin
R:tool
a:0:0:755
Z:{q1(TOOL)}

""".encode()


def accounting(**changes: Any) -> bytes:
    def row(path: str, mode: str = "0755", kind: str = "directory", **more: Any) -> dict[str, Any]:
        return {"path": path, "type": kind, "mode": mode, "uid": 0, "gid": 0, **more}

    content = {"size": len(DATABASE), "sha256": hashlib.sha256(DATABASE).hexdigest()}
    rules = [
        {"rule": "apk-database", "entries": [row("usr/lib/apk/db/installed", "0644", "file", **content)]},
        {"rule": "apkiln-manifest", "entries": [row("etc/apkiln/manifest.json", "0644", "file")]},
        {"rule": "base-directories", "entries": [row(path) for path in DIRECTORIES if path not in ("usr", "usr/bin")]},
        {"rule": "apk-database-link", "entries": [row("lib/apk", "0777", "symlink", target="../usr/lib/apk")]},
    ]
    return json.dumps({"version": 1, "rules": rules, "overrides": [], **changes}).encode()


DIRECTORIES = ("etc", "etc/apkiln", "lib", "usr", "usr/bin", "usr/lib", "usr/lib/apk", "usr/lib/apk/db")


def layers(*extra: Item) -> list[list[Item]]:
    return [
        [directory(path) for path in DIRECTORIES],
        [
            Item("usr/bin/tool", TOOL, mode=0o755),
            Item("usr/lib/apk/db/installed", DATABASE),
            Item("etc/apkiln/manifest.json", accounting()),
            symlink("lib/apk", "../usr/lib/apk"),
            *extra,
        ],
    ]


def bill(*packages: str) -> Bill:
    references = [[{"referenceType": "purl", "referenceLocator": f"pkg:apk/x/{package}?arch=x86_64"}] for package in packages]
    content = {"spdxVersion": "SPDX-2.3", "packages": [{"externalRefs": rows} for rows in references]}
    return Bill("sbom.json", json.dumps(content).encode())


def report(files: dict[str, bytes], bills: tuple[Bill, ...] = (bill("tool@1.0-r0"),)) -> AuditReport:
    memory = MemoryFiles({f"/image/{name}": content for name, content in files.items()})
    place = open_place(memory, PurePosixPath("/image"), DEFAULT_LIMITS)
    (image,) = stored_images(place, DEFAULT_LIMITS)
    return audit(image.name, read_image(place, image, DEFAULT_LIMITS), bills, image.arch.apk)


def broken(found: AuditReport) -> list[tuple[str, str]]:
    return [(violation.rule, violation.path) for violation in found.violations]


def test_an_image_of_ours_is_accounted_for() -> None:
    found = report(oci_layout(layers()))
    assert found.violations == ()
    assert (found.builder, found.packages, found.paths, found.owned, found.bills) == ("apkiln", 1, 12, 3, 1)
    assert dict(found.generated) == {"apk-database": 1, "apk-database-link": 1, "apkiln-manifest": 1, "base-directories": 6}
    assert found.value()["clean"] is True


def test_a_docker_archive_gives_the_same_answer() -> None:
    memory = MemoryFiles({"/image.tar": docker_archive(layers())})
    place = open_place(memory, PurePosixPath("/image.tar"), DEFAULT_LIMITS)
    (image,) = stored_images(place, DEFAULT_LIMITS)
    assert audit(image.name, read_image(place, image, DEFAULT_LIMITS), (), "x86_64").violations == ()


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (Item("usr/bin/stray", b"x"), ("unowned-path", "usr/bin/stray")),
        (Item("usr/bin/tool", TOOL, mode=0o755), ("duplicate-path", "usr/bin/tool")),
        (Item("usr/bin/tool", b"other", mode=0o755), ("content", "usr/bin/tool")),
        (Item("usr/bin/tool", TOOL, mode=0o4755), ("mode", "usr/bin/tool")),
        (Item("usr/bin/tool", TOOL, mode=0o755, uid=9), ("owner", "usr/bin/tool")),
        (Item("lib/.wh.apk"), ("whiteout", "lib/apk")),
        (Item("usr/bin/dev", kind=tarfile.CHRTYPE, device=(1, 1)), ("unowned-path", "usr/bin/dev")),
    ],
)
def test_a_change_in_the_tree_is_found(extra: Item, expected: tuple[str, str]) -> None:
    assert expected in broken(report(oci_layout(layers(extra))))


def rewritten(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> dict[str, bytes]:
    """A layout whose manifest and configuration were changed and whose digests fit again."""
    files = oci_layout(layers())
    index = json.loads(files["index.json"])
    manifest = json.loads(files[f"blobs/sha256/{index['manifests'][0]['digest'][7:]}"])
    config = json.loads(files[f"blobs/sha256/{manifest['config']['digest'][7:]}"])
    change(manifest, config)
    manifest["config"] = blob(files, json.dumps(config).encode(), manifest["config"]["mediaType"])
    index["manifests"][0] |= blob(files, json.dumps(manifest).encode(), index["manifests"][0]["mediaType"])
    files["index.json"] = json.dumps(index).encode()
    return files


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda manifest, config: config["rootfs"]["diff_ids"].reverse(), ("diff-id", "layer 1")),
        (lambda manifest, config: config["rootfs"]["diff_ids"].pop(), ("layer-count", "configuration")),
        (lambda manifest, config: config["history"].pop(), ("history", "configuration")),
        (lambda manifest, config: config.update(architecture="arm64"), ("platform", "configuration")),
        (lambda manifest, config: manifest["layers"][0].update(size=1), ("layer-size", "layer 1")),
        (
            lambda manifest, config: manifest["layers"][0].update(mediaType="application/vnd.oci.image.layer.v1.tar"),
            ("media-type", "layer 1"),
        ),
    ],
)
def test_a_document_that_does_not_fit_is_found(
    change: Callable[[dict[str, Any], dict[str, Any]], object], expected: tuple[str, str]
) -> None:
    assert expected in broken(report(rewritten(change)))


def test_a_layer_with_other_bytes_under_its_digest_is_found() -> None:
    files = oci_layout(layers())
    manifest = json.loads(files[f"blobs/sha256/{json.loads(files['index.json'])['manifests'][0]['digest'][7:]}"])
    name = f"blobs/sha256/{manifest['layers'][1]['digest'][7:]}"
    files[name] = layer_tar(layers(Item("usr/bin/stray", b"x"))[1])
    found = broken(report(files))
    for rule in ("layer-digest", "layer-size", "diff-id", "media-type"):
        assert (rule, "layer 2") in found
    assert ("unowned-path", "usr/bin/stray") in found


@pytest.mark.parametrize(
    ("packages", "rules"),
    [
        (("tool@1.0-r0",), []),
        ((), ["sbom-package-missing"]),
        (("tool@1.0-r0", "other@1"), ["sbom-package-extra"]),
        (("tool@1.0-r1",), ["sbom-package-missing", "sbom-package-extra"]),
    ],
)
def test_the_sbom_must_list_what_is_installed(packages: tuple[str, ...], rules: list[str]) -> None:
    found = report(oci_layout(layers()), (bill(*packages),))
    assert sorted(violation.rule for violation in found.violations) == sorted(rules)


def test_without_an_sbom_the_report_says_so() -> None:
    assert report(oci_layout(layers()), ()).notes


def test_an_image_without_a_database_is_refused_with_its_reason() -> None:
    with pytest.raises(ApkilnError) as caught:
        report(oci_layout([[Item("file", b"x")]]))
    assert caught.value.reason == "no-package-database"


def test_a_database_that_a_later_layer_removes_does_not_count() -> None:
    with pytest.raises(ApkilnError) as caught:
        report(oci_layout([*layers(), [Item("usr/lib/apk/db/.wh.installed")]]))
    assert caught.value.reason == "no-package-database"


def test_a_root_that_apk_made_is_compared_with_its_database_alone() -> None:
    base = [item for item in layers()[1] if not item.path.startswith("etc")]
    kept = [directory(path) for path in ("usr", "usr/bin", "usr/lib", "usr/lib/apk", "usr/lib/apk/db", "lib")]
    found = report(oci_layout([kept, base]))
    assert found.builder == "none"
    assert broken(found) == [("unowned-path", "lib"), ("unowned-path", "usr/lib")]


def test_reports_do_not_depend_on_the_order_of_entries() -> None:
    extra = (Item("usr/bin/b", b"x"), Item("usr/bin/a", b"x"))
    first, second = layers(*extra), layers(*extra[::-1])
    assert report(oci_layout(first)).violations == report(oci_layout(second)).violations


def test_every_rule_that_writes_into_an_image_is_known_to_the_audit() -> None:
    generated = Path(__file__).resolve().parents[4] / "src" / "apkiln" / "image" / "generated"
    names = {name for path in generated.glob("*.py") for name in _rule_names(ast.parse(path.read_text()))}
    assert "device-nodes" in names and "account-files" in names
    assert names <= RULES.keys()


def _rule_names(tree: ast.Module) -> set[str]:
    """Constants called RULE, and first arguments of `put` and its kin."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found |= {str(node.value.value) for target in node.targets if isinstance(target, ast.Name) and target.id == "RULE"}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.startswith("put"):
            found |= {str(word.value) for word in node.args[:1] if isinstance(word, ast.Constant)}
    return found
