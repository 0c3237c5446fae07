"""Image definitions: what is accepted, what is refused and where, includes, merging, the command line's additions."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.arch import KNOWN, Arch
from apkiln.core.errors import ApkilnError, ConfigurationError, FaultCollector, FaultGroup, UsageError
from apkiln.formats.yamlnode.compose import compose
from apkiln.image.configuration.loading import LoadedConfiguration, load_configuration
from apkiln.image.configuration.merge import Remarks, merged
from apkiln.image.configuration.model import ImageConfiguration, PathMutation
from apkiln.image.configuration.overlay import parse_overlay
from apkiln.image.configuration.reading import read_configuration, reads_as_octal

CONFORMANCE = Path(__file__).resolve().parents[4].parent / "shared" / "conformance"
HOST = Arch.parse("aarch64")


def load(text: str, files: Mapping[str, str] | None = None, **options: Any) -> LoadedConfiguration:
    contents = {"image.yaml": text} | dict(files or {})
    encoded = {name: content.encode() for name, content in contents.items()}
    return load_configuration("image.yaml", encoded.get, **options)


def accepted(text: str, files: Mapping[str, str] | None = None, **options: Any) -> ImageConfiguration:
    return load("contents: {repositories: [r]}\n" + text, files, **options).configuration


def faults(text: str, files: Mapping[str, str] | None = None, **options: Any) -> list[ApkilnError]:
    with pytest.raises(ApkilnError) as caught:
        load(text, files, **options)
    return list(caught.value.faults) if isinstance(caught.value, FaultGroup) else [caught.value]


def refused(text: str, **options: Any) -> str:
    """The reason of the only fault of a definition that is complete otherwise."""
    found = faults("contents: {repositories: [r]}\n" + text, **options)
    assert len(found) == 1, found
    assert found[0].origin.source == "image.yaml"
    assert found[0].origin.line >= 1
    return found[0].reason


def test_strings_keep_their_source_text() -> None:
    found = accepted("environment: {A: 1.10, B: yes, C: 00303}\ncmd: 1.0\nwork-dir: 010\nannotations: {v: 1.10}\n")
    assert found.environment == (("A", "1.10"), ("B", "yes"), ("C", "00303"))
    assert (found.cmd.text, found.work_dir, found.annotations) == ("1.0", "010", (("v", "1.10"),))


def test_every_entry_knows_where_it_was_written() -> None:
    found = load("contents:\n  repositories: [r]\n  packages:\n    - a\n    - b\n").configuration
    assert [str(request.origin) for request in found.contents.packages] == ["image.yaml:4:7", "image.yaml:5:7"]


def test_all_faults_of_a_file_come_at_once_with_place_and_line() -> None:
    text = "contents:\n  repositories: [r]\n  packages: [a b, =1]\naccounts:\n  users: [{uid: 0}]\nvolume: x\narchs: x\n"
    found = faults(text)
    assert [(fault.origin.line, fault.reason) for fault in found] == [
        (6, "unknown-key"), (3, "bad-value"), (3, "bad-value"), (5, "missing-key"), (5, "uid-zero"), (7, "wrong-type")
    ]  # fmt: skip
    assert all(fault.details and "^" in fault.details[-1] for fault in found)
    assert found[0].hint == "did you mean `volumes`?"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("entrypoint: {type: systemd}", "unknown-value"),
        ("entrypoint: {command: \"it's\"}", "bad-value"),
        ("entrypoint: {services: {../x: run}}", "bad-value"),
        ("entrypoint: {services: {x: ''}}", "bad-value"),
        ("cmd: 'a \"b'", "bad-value"),
        ("accounts: {users: [{username: a, uid: 0}]}", "uid-zero"),
        ("accounts: {users: [{username: a}]}", "uid-zero"),
        ("accounts: {users: [{uid: 1}]}", "missing-key"),
        ("accounts: {users: [{username: 'a:b', uid: 1}]}", "bad-value"),
        ("accounts: {users: [{username: a, uid: 1, homedir: '/x:y'}]}", "bad-value"),
        ("accounts: {users: [{username: a, uid: 1, homedir: /../x}]}", "bad-value"),
        ("accounts: {users: [{username: a, uid: -1}]}", "bad-number"),
        ("accounts: {users: [{username: a, uid: 4294967296}]}", "bad-number"),
        ("accounts: {users: [{username: a, uid: '1'}]}", "wrong-type"),
        ("accounts: {groups: [{gid: 1}]}", "missing-key"),
        ("accounts: {run-as: ':x'}", "bad-value"),
        ("archs: ['../x']", "bad-value"),
        ("environment: {'A=B': x}", "bad-value"),
        ("paths: [{path: /a}]", "missing-key"),
        ("paths: [{type: directory}]", "missing-key"),
        ("paths: [{path: /a, type: copy}]", "unknown-value"),
        ("paths: [{path: /a/../../b, type: directory}]", "bad-value"),
        ("paths: [{path: /a, type: symlink}]", "missing-key"),
        ("paths: [{path: /a, type: hardlink, source: ../b}]", "bad-value"),
        ("paths: [{path: /a, type: file}]", "missing-key"),
        ("paths: [{path: /a, type: file, content: x, from: y}]", "missing-key"),
        ("paths: [{path: /a, type: tree}]", "missing-key"),
        ("paths: [{path: /a, type: directory, content: x}]", "useless-key"),
        ("paths: [{path: /a, type: directory, permissions: 0o10000}]", "bad-mode"),
        ("paths: [{path: /a, type: directory, permissions: rwx}]", "wrong-type"),
        ("paths: [{path: /a, type: directory, recursive: 1}]", "wrong-type"),
        ("paths: [{path: /a, type: file, content: x, sha256: zz}]", "bad-value"),
        ("paths: [{path: /a, type: directory, xattrs: {user.x: 'base64:*'}}]", "bad-value"),
        ("paths: [{path: /a, type: directory, xattrs: {x: y}}]", "bad-value"),
        ("layering: {budget: 3}", "budget-without-strategy"),
        ("layering: {strategy: size, budget: 3}", "unknown-value"),
        ("layering: {strategy: origin, budget: 121}", "bad-number"),
        ("layering: {strategy: origin, budget: -1}", "bad-number"),
        ("layering: {strategy: groups}", "bad-layering"),
        ("layering: {strategy: origin, groups: [[a]]}", "bad-layering"),
        ("layering: {strategy: groups, groups: [[a], [a]]}", "duplicate-name"),
        ("format: erofs\nlayering: {strategy: origin}", "layering-with-erofs"),
        ("format: zip", "unknown-value"),
        ("certificates: {additional: [{name: a}]}", "missing-key"),
        ("certificates: {additional: [{name: ../a, content: x}]}", "bad-value"),
        ("certificates: {additional: [{name: a, content: x}, {name: a, content: y}]}", "duplicate-name"),
        ("certificates: {providers: ['']}", "bad-value"),
        ("healthcheck: {test: [RUN, x]}", "bad-healthcheck"),
        ("healthcheck: {interval: 30s}", "bad-healthcheck"),
        ("healthcheck: {test: x, interval: 30}", "bad-value"),
        ("ports: [0]", "bad-value"),
        ("ports: [80/http]", "bad-value"),
        ("ports: [90-80/tcp]", "bad-value"),
        ("os-release: {'bad key': x}", "bad-value"),
        ("os-release: {NAME: \"a\\nb\"}", "bad-value"),
        ("sbom: {formats: [pdf]}", "unknown-value"),
        ("sbom: {namespace: 'not a uri'}", "bad-value"),
        ("scripts: run", "unknown-value"),
        ("include: https://example.com/base.yaml", "include-needs-digest"),
        ("include: {sha256: x}", "missing-key"),
        ("volumes: ['']", "bad-value"),
        ("cmd: a\ncmd: b", "duplicate-key"),
    ],
)  # fmt: skip
def test_refusals(text: str, reason: str) -> None:
    if text == "include: {sha256: x}":
        assert {fault.reason for fault in faults("contents: {repositories: [r]}\n" + text)} == {"missing-key", "bad-value"}
    else:
        assert refused(text) == reason


def test_a_service_may_have_a_script_of_several_lines() -> None:
    text = "contents: {repositories: [r]}\nentrypoint:\n  services:\n    web: |\n      /bin/a\n      /bin/b\n"
    assert load(text).configuration.entrypoint.services == (("web", "/bin/a\n/bin/b\n"),)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ("{}", "no-repositories"),
        ("{build_repositories: [r]}", "no-repositories"),
        ("{repositories: ['']}", "bad-value"),
        ("{repositories: ['@tag ']}", "bad-value"),
        ("{repositories: [-x]}", "nothing-to-remove"),
        ("{repositories: [r], packages: [-x]}", "nothing-to-remove"),
        ("{repositories: [r], packages: ['']}", "bad-value"),
        ("{repositories: [r], packages: ['a b']}", "bad-value"),
        ("{repositories: [r], packages: ['a=1=2']}", "bad-value"),
        ("{repositories: [r], packages: [{archs: [x86_64]}]}", "missing-key"),
        ("{repositories: [r], keyring: ['']}", "bad-value"),
        ("{repositories: [r], keyring: [{url: u, path: p}]}", "missing-key"),
        ("{repositories: [r], keyring: [{url: u, sha256: x}]}", "bad-value"),
        ("{repositories: [r], runtime_keyring: [{name: a, content: x}, {name: a, content: y}]}", "duplicate-name"),
        ("{repositories: [r], baseimage: {apkindex: x}}", "missing-key"),
        ("{repositories: [r], drift: ['a=1']}", "bad-value"),
    ],
)
def test_refusals_in_contents(contents: str, reason: str) -> None:
    found = faults(f"contents: {contents}\n")
    assert [fault.reason for fault in found] == [reason]


@pytest.mark.parametrize("text", ["contents: {no_runtime_repositories: true}", "contents: {runtime_repositories: [r]}"])
def test_some_repository_or_none_on_purpose(text: str) -> None:
    load(text)


def test_world_syntax_is_accepted() -> None:
    items = [
        "a",
        "a=1.0-r0",
        "a<2",
        "a<=2",
        "a>1",
        "a>=1",
        "a~1.2",
        "a=~1.2",
        "a@tag",
        "a@my-tag=1",
        "!a",
        "so:libc.so.6",
        "cmd:sh",
    ]
    found = load(json.dumps({"contents": {"repositories": ["r"], "packages": items}}))
    assert [request.text for request in found.configuration.contents.packages] == items


def test_extensions_are_read() -> None:
    found = accepted(
        """
paths:
  - {path: /etc/motd, type: file, content: hello, permissions: 0644, xattrs: {user.a: b}, if-exists: replace}
  - {path: /opt, type: tree, from: files, force: true, follow: yes}
entrypoint: {command: [/bin/app, a b]}
cmd: [x, "y z"]
labels: {}
healthcheck: {test: [CMD, /bin/check], interval: 1m30s, retries: 3}
ports: [80/tcp, 8000-8010/udp]
os-release: {pretty-name: Mine, VERSION_ID: 1.10}
sbom: {formats: [spdx, cyclonedx], namespace: 'https://example.com/sbom', supplier: Example}
scripts: fail
layering: {strategy: groups, groups: [[a, b], [c]]}
accounts: {gshadow: true, run-as: 'app:app', users: [{username: app, uid: 7, groups: [tty]}]}
"""
    )
    assert found.paths[0].permissions == 0o644
    assert found.paths[0].xattrs == (("user.a", "b"),)
    assert found.entrypoint.arguments() == ("/bin/app", "a b")
    assert found.cmd.split() == ("x", "y z")
    assert found.labels == ()
    assert found.healthcheck is not None
    assert found.healthcheck.test == ("CMD", "/bin/check")
    assert found.os_release == (("PRETTY_NAME", "Mine"), ("VERSION_ID", "1.10"))
    assert found.layering is not None
    assert found.layering.groups == (("a", "b"), ("c",))


@pytest.mark.parametrize(
    "text",
    [
        "labels: {}", "os-release: {NAME: x}", "ports: [80]", "cmd: [a]", "entrypoint: {command: [a]}", "scripts: report",
        "paths: [{path: /a, type: file, content: x}]", "paths: [{path: /a, type: directory, force: true}]",
        "include: [other.yaml]", "layering: {strategy: package}", "accounts: {gshadow: true}",
    ],
)  # fmt: skip
def test_strict_mode_refuses_extensions(text: str) -> None:
    accepted(text, {"other.yaml": ""})
    found = faults("contents: {repositories: [r]}\n" + text, {"other.yaml": ""}, strict=True)
    assert {fault.reason for fault in found} <= {"refused-key", "unknown-value", "missing-key"}
    assert all(fault.origin.line == 2 for fault in found)


@pytest.mark.parametrize(
    ("digits", "trap"),
    [("755", True), ("644", True), ("777", True), ("600", True), ("1777", True), ("444", True), ("493", False), ("511", False),
     ("420", False), ("0755", False), ("0o755", False), ("0", False), ("7", False), ("99999", False)],
)  # fmt: skip
def test_decimal_modes_that_were_meant_as_octal_are_noted(digits: str, trap: bool) -> None:
    assert reads_as_octal(digits) is trap
    loaded = (
        load(f"contents: {{repositories: [r]}}\npaths: [{{path: /a, type: directory, permissions: {digits}}}]", {})
        if len(digits) < 5
        else None
    )
    if loaded is not None:
        assert bool(loaded.notes) is trap


BASE = """
contents:
  repositories: [r1]
  packages: [a=1, b]
  keyring: [k]
entrypoint: {command: /base, services: {s: run}}
environment: {A: base, B: base}
archs: [x86_64]
vcs-url: https://example.com/x@c0ffee
layering: {strategy: origin, budget: 3}
paths: [{path: /a, type: directory}]
"""


def test_the_including_definition_wins() -> None:
    text = "include: base.yaml\ncontents: {packages: [c, b]}\nentrypoint: {shell-fragment: mine}\nenvironment: {A: mine}\n"
    loaded = load(text, {"base.yaml": BASE})
    found = loaded.configuration
    assert [request.text for request in found.contents.packages] == ["a=1", "b", "c"]
    assert [request.origin.source for request in found.contents.packages] == ["base.yaml", "base.yaml", "image.yaml"]
    assert found.entrypoint.command.text == ""
    assert found.environment == (("A", "mine"), ("B", "base"))
    assert found.vcs_url == "https://example.com/x@c0ffee"
    assert found.archs == ("amd64",)
    assert ["b" in note.message for note in loaded.notes] == [True]


def test_deep_merging_takes_fields() -> None:
    text = "include: base.yaml\nmerge: deep\nentrypoint: {type: service-bundle}\nlayering: {budget: 9}\n"
    found = load(text, {"base.yaml": BASE}).configuration
    assert found.entrypoint.services == (("s", "run"),)
    assert found.entrypoint.command.text == "/base"
    assert found.layering is not None
    assert (found.layering.strategy, found.layering.budget) == ("origin", 9)


def test_an_empty_layering_of_the_child_is_one_layer() -> None:
    found = load("include: base.yaml\nlayering: {}\n", {"base.yaml": BASE}).configuration
    assert found.layering is not None
    assert found.layering.strategy == ""


def test_entries_of_the_base_can_be_removed() -> None:
    text = "include: base.yaml\ncontents: {repositories: [-r1, r2], packages: [-a, c]}\n"
    found = load(text, {"base.yaml": BASE}).configuration
    assert [request.text for request in found.contents.packages] == ["b", "c"]
    assert [entry.text for entry in found.contents.repositories] == ["r2"]
    assert [fault.reason for fault in faults("include: base.yaml\ncontents: {packages: [-z]}\n", {"base.yaml": BASE})] == [
        "nothing-to-remove"
    ]


def test_several_includes_build_upon_each_other() -> None:
    files = {"one.yaml": BASE, "two.yaml": "environment: {B: two, C: two}\ncmd: two\n"}
    found = load("include: [one.yaml, two.yaml]\nenvironment: {C: mine}\n", files).configuration
    assert found.environment == (("A", "base"), ("B", "two"), ("C", "mine"))
    assert found.cmd.text == "two"


def test_includes_are_looked_for_beside_then_as_given_then_in_the_paths() -> None:
    files = {f"{folder}x.yaml": f"cmd: {folder or 'top'}\n" for folder in ("sub/", "", "lib/")}
    files["sub/image.yaml"] = "contents: {repositories: [r]}\ninclude: x.yaml\n"
    for gone, wanted in (("", "sub/"), ("sub/x.yaml", "top"), ("x.yaml", "lib/")):
        files.pop(gone, None)
        encoded = {name: text.encode() for name, text in files.items()}
        loaded = load_configuration("sub/image.yaml", encoded.get, include_paths=["lib"])
        assert loaded.configuration.cmd.text == wanted


@pytest.mark.parametrize("files", [{}, {"a.yaml": "include: b.yaml", "b.yaml": "include: ./a.yaml"}])
def test_a_cycle_of_includes_is_refused(files: dict[str, str]) -> None:
    text = "include: image.yaml" if not files else "include: a.yaml"
    assert [fault.reason for fault in faults(text, files)] == ["include-cycle"]


def test_a_missing_include_says_where_it_was_looked_for() -> None:
    fault = faults("include: sub/x.yaml\n", include_paths=["lib"])[0]
    assert fault.reason == "file-not-found"
    assert (fault.origin.line, fault.origin.column) == (1, 10)
    assert fault.hint == "looked for `sub/x.yaml`, `lib/sub/x.yaml`"


def test_a_pinned_include_must_have_its_digest() -> None:
    good = hashlib.sha256(BASE.encode()).hexdigest()
    files = {"base.yaml": BASE, "https://example.com/base.yaml": BASE}
    load(f"include: {{path: base.yaml, sha256: {good}}}", files)
    load(f"include: {{url: 'https://example.com/base.yaml', sha256: {good}}}", files)
    assert faults(f"include: {{path: base.yaml, sha256: {'0' * 64}}}", files)[0].reason == "digest-mismatch"


def test_faults_of_an_included_file_are_placed_in_it() -> None:
    found = faults("include: base.yaml\nvolumen: 1\n", {"base.yaml": "contents: {repositories: [r]}\nenvirnment: {}\n"})
    assert [str(fault.origin) for fault in found] == ["image.yaml:2:1", "base.yaml:2:1"]


def test_the_checksum_covers_all_files_in_load_order() -> None:
    text = "include: base.yaml\n"
    expected = hashlib.sha256((text + BASE).encode()).digest()
    loaded = load(text, {"base.yaml": BASE})
    assert loaded.checksum == "sha256-" + base64.b64encode(expected).decode()
    assert loaded.files == ("image.yaml", "base.yaml")


def test_an_entry_of_paths_repeated_counts_again_when_something_touched_its_place() -> None:
    def mutation(path: str, mode: int) -> PathMutation:
        return PathMutation(path, "permissions", permissions=mode)

    first, second = mutation("/a", 0o700), mutation("/a/b", 0o755)
    remarks = Remarks(FaultCollector.empty(), [])

    def paths(base: tuple[PathMutation, ...], child: tuple[PathMutation, ...]) -> tuple[PathMutation, ...]:
        return merged(ImageConfiguration(paths=base), ImageConfiguration(paths=child), remarks).paths

    assert paths((first,), (first,)) == (first,)
    assert paths((first, mutation("/c", 1)), (first,)) == (first, mutation("/c", 1))
    assert paths((first, second), (first,)) == (first, second, first)


def test_the_command_line_adds_to_the_end() -> None:
    overlay = parse_overlay(
        keyring=["k1,k2"],
        build_repositories=["b/"],
        repositories=["r"],
        packages=["p,q"],
        annotations=["a:1,b=2,3"],
        archs=["x86_64"],
    )
    found = load(BASE, overlay=overlay).configuration
    assert [entry.location for entry in found.contents.keyring] == ["k", "k1", "k2"]
    assert [entry.text for entry in found.contents.build_repositories] == ["b"]
    assert [request.text for request in found.contents.packages] == ["a=1", "b", "p", "q"]
    assert found.annotations == (("a", "1"), ("b", "2,3"))
    assert found.archs == ("amd64",)
    assert found.contents.packages[-1].origin.source == "--package-append"


@pytest.mark.parametrize("options", [{"annotations": ["x"]}, {"annotations": [":x"]}, {"packages": ["a b"]}, {"archs": ["../x"]}])
def test_wrong_additions_are_usage_errors(options: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError):
        parse_overlay(**options)


def test_architectures() -> None:
    assert accepted("").architectures(HOST) == KNOWN
    assert accepted("archs: [all]").architectures(HOST) == KNOWN
    assert accepted("archs: [host, arm64, aarch64]").architectures(HOST) == (HOST,)
    assert [arch.apk for arch in accepted("archs: [riscv64, x86_64, arm/v6]").architectures(HOST)] == [
        "x86_64",
        "armhf",
        "riscv64",
    ]


def test_packages_for_one_architecture() -> None:
    text = "contents: {repositories: [r], packages: [b, {name: c, archs: [x86_64]}, a, b]}\nentrypoint: {type: service-bundle}\n"
    found = load(text).configuration
    assert [request.text for request in found.requests_for(Arch.parse("amd64"))] == ["a", "b", "c", "s6"]
    assert [request.text for request in found.requests_for(Arch.parse("arm64"))] == ["a", "b", "s6"]


def test_defaults_of_users() -> None:
    found = accepted("accounts: {users: [{username: a, uid: 5}, {username: b, uid: 6, gid: 0, homedir: /x}]}").accounts.users
    assert [(user.group_id, user.login_shell, user.home) for user in found] == [(5, "/bin/sh", "/home/a"), (0, "/bin/sh", "/x")]


def test_no_credential_is_in_an_error() -> None:
    text = (
        "contents:\n  repositories: ['https://u:hunter2@example.com/os', '']\n  packages: ['https://u:hunter2@example.com/os']\n"
    )
    shown = [str(fault) + "".join(fault.details) + fault.hint for fault in faults(text)]
    assert len(shown) == 2
    assert "hunter2" not in "".join(shown)


KEY = st.sampled_from(["A", "B", "C"])
NAME = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"])


@st.composite
def disjoint(draw: st.DrawFn) -> tuple[ImageConfiguration, ...]:
    """Three definitions whose lists have no entry in common."""
    names = draw(st.permutations(list("abcdefghi")))
    found = []
    for number in range(3):
        mine = names[number * 3 : number * 3 + draw(st.integers(0, 3))]
        value: dict[str, Any] = {
            "contents": {
                "packages": mine,
                "repositories": [f"r{name}" for name in mine],
                "keyring": [f"k{name}" for name in mine],
            },
            "environment": draw(st.dictionaries(KEY, NAME, max_size=3)),
            "annotations": draw(st.dictionaries(KEY, NAME, max_size=3)),
            "cmd": draw(st.sampled_from(["", "x", "y"])),
            "entrypoint": draw(st.sampled_from([{}, {"command": "x"}, {"shell-fragment": "y"}])),
            "archs": draw(st.sampled_from([[], ["amd64"], ["arm64"]])),
            "volumes": mine,
            "layering": draw(st.sampled_from([None, {}, {"strategy": "origin", "budget": 2}])),
        }
        collector = FaultCollector.empty()
        document = compose(json.dumps(value).encode(), f"{number}", collector)
        found.append(read_configuration(document, collector, []))
        assert collector.faults == []
    return tuple(found)


@given(disjoint())
def test_merging_is_associative_where_nothing_repeats(three: tuple[ImageConfiguration, ...]) -> None:
    one, two, last = three
    remarks = Remarks(FaultCollector.empty(), [])
    assert merged(merged(one, two, remarks), last, remarks) == merged(one, merged(two, last, remarks), remarks)
    assert remarks.notes == []


@given(disjoint())
def test_merging_with_nothing_changes_nothing(three: tuple[ImageConfiguration, ...]) -> None:
    remarks = Remarks(FaultCollector.empty(), [])
    nothing = ImageConfiguration()
    assert merged(nothing, three[0], remarks) == three[0]
    assert merged(three[0], nothing, remarks) == three[0]


def examples() -> list[Path]:
    root = CONFORMANCE / "apko" / "examples"
    runs = [path for path in CONFORMANCE.glob("apko-runs/cases/*/apko.yaml") if not path.parent.name.startswith("fail-")]
    return sorted([*root.rglob("*.yaml"), *runs])


def test_every_example_loads() -> None:
    ours = sorted((Path(__file__).resolve().parents[4] / "examples").rglob("image.yaml"))
    assert ours
    for path in [*ours, *examples()]:
        folder = path.parents[2] if "cases" in path.parts else path.parent.parent
        files = (folder, path.parent, *path.parents[:4])

        def read_file(name: str, files: tuple[Path, ...] = files) -> bytes | None:
            found = next((place / name for place in files if (place / name).is_file()), None)
            return None if found is None else found.read_bytes()

        if path.parent.name != "accepts-unknown-service-type":
            load_configuration(str(path), read_file)


def keys_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all keys of mappings that the schema fixes."""
    free = {"environment", "annotations", "services"}
    if isinstance(value, dict):
        inner = [found for key, item in value.items() if key not in free for found in keys_in(item, (*path, key))]
        return [*((*path, key) for key in value), *inner]
    return (
        [found for index, item in enumerate(value) for found in keys_in(item, (*path, index))] if isinstance(value, list) else []
    )


def with_key_changed(value: Any, path: tuple[Any, ...]) -> Any:
    head, *rest = path
    if isinstance(value, list):
        return [with_key_changed(item, tuple(rest)) if index == head else item for index, item in enumerate(value)]
    if rest:
        return {key: with_key_changed(item, tuple(rest)) if key == head else item for key, item in value.items()}
    return {(key + "x" if key == head else key): item for key, item in value.items()}


def test_each_mutation_of_a_key_name_is_refused_with_its_place() -> None:
    import yaml

    if not examples():
        pytest.skip("example definitions are not there")
    mutations = 0
    for path in examples():
        tree = yaml.safe_load(path.read_text())
        for place in keys_in(tree):
            changed = json.dumps(with_key_changed(tree, place), indent=1, default=str)
            with pytest.raises(ApkilnError) as caught:
                load_configuration("image.yaml", {"image.yaml": changed.encode()}.get)
            group = caught.value.faults if isinstance(caught.value, FaultGroup) else (caught.value,)
            found = [fault for fault in group if fault.reason == "unknown-key"]
            if not found and "include" in tree:
                continue  # the included file is not there, which stops reading
            lines = changed.splitlines()
            assert [fault.origin.source for fault in found] == ["image.yaml"], (path, place)
            assert lines[found[0].origin.line - 1].lstrip().startswith(f'"{place[-1]}x"'), (path, place)
            assert isinstance(found[0], ConfigurationError)
            mutations += 1
    assert mutations > len(examples())
