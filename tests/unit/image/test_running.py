"""How an image is unpacked once and started."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_images import Item, directory, hard_link, oci_layout, symlink

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, UsageError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.oci.documents import Process
from apkiln.image.place import Place, open_place
from apkiln.image.running import RunRequest, chain_id, resolve_user, run_image, run_spec, unpacked
from apkiln.image.stored import StoredImage, stored_images
from apkiln.system.memory_files import MemoryFiles
from apkiln.system.memory_sandbox import Behaviour, MemorySandbox
from apkiln.system.memory_trees import MemoryTrees

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbroken\nodd:x:a:b::/:/\n"
GROUP = b"root:x:0:\napp:x:1001:\nlog:x:55:app\n"
LAYERS = [
    [
        *(directory("etc"), Item("etc/passwd", PASSWD), Item("etc/group", GROUP)),
        *(Item("etc/old", b"o"), directory("var"), Item("var/x", b"x")),
    ],
    [
        *(directory("etc"), Item("etc/.wh.old"), hard_link("etc/same", "etc/passwd")),
        *(Item("var/.wh..wh..opq"), symlink("link", "etc")),
    ],
]


def stored(files: dict[str, bytes]) -> tuple[Place, StoredImage]:
    memory = MemoryFiles({f"/image/{name}": content for name, content in files.items()})
    place = open_place(memory, PurePosixPath("/image"), DEFAULT_LIMITS)
    return place, stored_images(place, DEFAULT_LIMITS)[0]


def test_layers_are_unpacked_once_with_whiteouts_applied() -> None:
    place, image = stored(oci_layout(LAYERS))
    trees = MemoryTrees()
    key = unpacked(place, image, trees, DEFAULT_LIMITS, "user")
    assert sorted(trees.trees[key]) == ["etc", "etc/group", "etc/passwd", "etc/same", "link", "var"]
    assert trees.read(key, "etc/same", 1000) == PASSWD
    assert unpacked(place, image, trees, DEFAULT_LIMITS, "user") == key
    assert trees.built == [key]
    assert unpacked(place, image, trees, DEFAULT_LIMITS, "root") != key


@pytest.mark.parametrize(("member", "reason"), [("digest", "layer-digest"), ("diff", "diff-id"), ("size", "layer-size")])
def test_a_layer_that_is_not_what_was_announced_leaves_no_tree(member: str, reason: str) -> None:
    place, image = stored(oci_layout(LAYERS))
    layer = image.layers[1]
    wrong = Digest.sha256(bytes(32))
    changed = {
        "digest": layer._replace(digest=wrong),
        "diff": layer._replace(diff_id=wrong),
        "size": layer._replace(size=1),
    }[member]
    damaged = StoredImage(image.name, image.configuration, (image.layers[0], changed))
    trees = MemoryTrees()
    with pytest.raises(VerificationError) as caught:
        unpacked(place, damaged, trees, DEFAULT_LIMITS, "user")
    assert caught.value.reason == reason
    assert trees.trees == {}


def test_a_damaged_blob_leaves_no_tree() -> None:
    files = oci_layout(LAYERS)
    manifest = json.loads(files[f"blobs/sha256/{json.loads(files['index.json'])['manifests'][0]['digest'][7:]}"])
    name = f"blobs/sha256/{manifest['layers'][0]['digest'][7:]}"
    files[name] = files[name][:-20] + bytes(20)
    place, image = stored(files)
    trees = MemoryTrees()
    with pytest.raises(ApkilnError):
        unpacked(place, image, trees, DEFAULT_LIMITS, "user")
    assert trees.trees == {}


def test_the_images_command_starts_in_its_tree() -> None:
    process: dict[str, object] = {"Entrypoint": ["/bin/app"], "Cmd": ["serve"], "Env": ["A=1", "PATH=/opt/bin"]}
    process |= {"User": "app:log", "WorkingDir": "/srv"}
    place, image = stored(oci_layout(LAYERS, process))
    trees = MemoryTrees()
    key = unpacked(place, image, trees, DEFAULT_LIMITS, "user")
    sandbox = MemorySandbox({"/bin/app": lambda spec: Behaviour(7)})
    assert run_image(trees, key, image, RunRequest(environment=(("A", "2"),)), sandbox).exit_code == 7
    (spec,) = sandbox.runs
    assert spec.root == trees.find(key)
    assert spec.command == ("/bin/app", "serve")
    assert spec.environment == (("A", "2"), ("HOME", "/home/app"), ("PATH", "/opt/bin"))
    assert (spec.user, spec.group, spec.working_directory, spec.network) == (1000, 55, "/srv", False)


@pytest.mark.parametrize(
    ("process", "request_", "expected"),
    [
        (Process(("c",), ("e",)), RunRequest(), ("e", "c")),
        (Process(("c",), ("e",)), RunRequest(("x", "y")), ("e", "x", "y")),
        (Process(("c",), ("e",)), RunRequest(entrypoint=("z",)), ("z",)),
        (Process(("c",), ("e",)), RunRequest(("x",), entrypoint=("z",)), ("z", "x")),
        (Process(("c",)), RunRequest(("x",)), ("x",)),
    ],
)
def test_arguments_replace_cmd_and_entrypoint_replaces_both(
    process: Process, request_: RunRequest, expected: tuple[str, ...]
) -> None:
    assert run_spec("/r", process, request_, b"", b"").command == expected


def test_an_image_without_a_command_says_so() -> None:
    with pytest.raises(UsageError) as caught:
        run_spec("/r", Process(), RunRequest(), b"", b"")
    assert caught.value.reason == "no-command"


@pytest.mark.parametrize(
    ("user", "ids"),
    [("", (0, 0)), ("app", (1000, 1001)), ("1000", (1000, 1001)), ("42", (42, 0)), ("42:log", (42, 55)), ("app:7", (1000, 7))],
)
def test_users_are_resolved_in_the_image(user: str, ids: tuple[int, int]) -> None:
    assert resolve_user(user, PASSWD, GROUP) == ids


@pytest.mark.parametrize(
    ("user", "reason"), [("nobody", "unknown-user"), ("app:nobody", "unknown-group"), ("odd", "unknown-user")]
)
def test_unknown_users_are_refused(user: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_user(user, PASSWD, GROUP)
    assert caught.value.reason == reason


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4))
def test_the_chain_depends_on_every_layer_and_its_place(values: list[bytes]) -> None:
    digests = tuple(Digest.sha256(value) for value in values)
    chain = chain_id(digests)
    assert chain_id(digests[:1]) == digests[0]
    if len(set(values)) > 1:
        assert chain_id(digests[::-1]) != chain or digests == digests[::-1]
    assert len(digests) == 1 or chain_id(digests[:-1]) != chain
