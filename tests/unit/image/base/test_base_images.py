"""Images upon other images: nothing of the base is lost, moved or quietly taken over, and every path stays accounted for."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.image_workshop import AMD64, Workshop, definition, union
from tests.sample_images import Item, directory, hard_link, oci_layout, symlink
from tests.sample_packages import SamplePackage, sample_package

from apkiln.core.errors import ApkilnError, ConfigurationError, ConflictError, FaultGroup, UnsatisfiableError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.progress import Silent
from apkiln.formats.apk.installed import parse_installed
from apkiln.formats.oci.documents import Process
from apkiln.formats.oci.reference import parse_reference
from apkiln.image.audit.auditing import Bill, audit, read_image
from apkiln.image.audit.findings import AuditReport
from apkiln.image.building import BuiltImage
from apkiln.image.configuration.model import ImageConfiguration
from apkiln.image.documents import inherited
from apkiln.image.exports.finished_tree import FinishedTree
from apkiln.image.lock.reading import parse_lock
from apkiln.image.lock.writing import write_lock
from apkiln.image.place import open_place
from apkiln.image.publishable import publishable_build, publishable_place
from apkiln.image.publishing import publish
from apkiln.image.publishing_plan import plan_publication
from apkiln.image.registry_place import RegistryPlace
from apkiln.image.resolving import ResolveOptions, resolve
from apkiln.image.stored import StoredImage, stored_images
from apkiln.system.memory_registry import MemoryRegistry, memory_registry_client

UPON = "contents:\n  keyring: [keys/sample.rsa.pub]\n  repositories: [repo]\n  packages: [{}]\n  baseimage: {{image: {}}}\n{}\n"
DATABASE = "usr/lib/apk/db/installed"


def upon(packages: Iterable[str], image: str = "base", more: str = "archs: [amd64]") -> str:
    return UPON.format(", ".join(packages), image, more)


def base_packages() -> list[SamplePackage]:
    passwd = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "etc/group": b"root:x:0:root\n"}
    return [
        sample_package("layout", files=passwd),
        sample_package("shell", "1.0-r0", files={"bin/sh": b"shell", "etc/shells": b"/bin/sh\n"}),
    ]


def new_packages() -> list[SamplePackage]:
    return [
        sample_package("shell", "2.0-r0", files={"bin/sh": b"newer shell"}),
        sample_package("app", files={"usr/bin/app": b"app", "etc/app/conf": b"x"}, depends=["shell"]),
        sample_package("layout", files={"etc/passwd": b"other"}, version="0.1-r0"),
        sample_package("clash", files={"bin/sh": b"mine"}),
        sample_package("over-stray", files={"srv/stray": b"mine"}),
        sample_package("same-stray", files={"srv/stray": b"stray"}),
        sample_package("needs-new", depends=["shell>1.5"], files={"opt/n": b""}),
    ]


BASE_MORE = """
accounts: {users: [{username: old, uid: 1500}]}
environment: {FOO: base, PATH: /base}
entrypoint: {command: /bin/sh}
paths:
  - {path: /srv/stray, type: file, content: stray, permissions: 0o644}
  - {path: /srv/z-stray, type: hardlink, source: /srv/stray}
  - {path: /etc/shells, type: permissions, permissions: 0o600, uid: 5, gid: 5}
"""


def shop_with_base(layering: str = "") -> Workshop:
    """A workshop whose `work/base` is an image of ours, and whose repository has newer packages."""
    shop = Workshop({"x86_64": base_packages()}, definition(["layout", "shell"], more=BASE_MORE + layering))
    shop.written(shop.built(), "work/base")
    shop.publish("x86_64", new_packages())
    return shop


def build(shop: Workshop, text: str, place: str = "out/image") -> BuiltImage:
    shop.define(text)
    built = shop.built()
    shop.written(built, place)
    return built


def stored(shop: Workshop, place: str = "out/image") -> StoredImage:
    return stored_images(open_place(shop.files, PurePosixPath(place), DEFAULT_LIMITS), DEFAULT_LIMITS)[0]


def audited(shop: Workshop, built: BuiltImage, place: str = "out/image") -> AuditReport:
    opened = open_place(shop.files, PurePosixPath(place), DEFAULT_LIMITS)
    bills = [Bill(name, content) for name, content in built.bills if "x86_64" in name]
    return audit("image", read_image(opened, stored(shop, place), DEFAULT_LIMITS), bills)


def content(shop: Workshop, path: str) -> bytes:
    return next(layer[path][2] for layer in reversed(shop.layers()) if path in layer)


LAYERINGS = ("", "layering: {strategy: package, budget: 3}\n")


@pytest.mark.parametrize("below", LAYERINGS)
@pytest.mark.parametrize("above", LAYERINGS)
def test_every_path_of_an_image_upon_an_image_is_accounted_for(below: str, above: str) -> None:
    shop = shop_with_base(below)
    built = build(shop, upon(["app"], more=f"archs: [amd64]\n{above}"))
    report = audited(shop, built)
    assert report.violations == ()
    assert report.packages == 3
    assert dict(report.generated)["base-image"] > 3


@pytest.mark.parametrize("below", LAYERINGS)
def test_the_layers_of_the_base_stay_below_byte_for_byte(below: str) -> None:
    shop = shop_with_base(below)
    build(shop, upon(["app"]))
    old, new = stored(shop, "work/base"), stored(shop)
    assert new.layers[: len(old.layers)] == old.layers
    assert len(new.layers) == len(old.layers) + 1
    top = shop_layers(shop)[-1]
    assert {"usr/bin/app", "etc/app/conf", DATABASE} <= top.keys()
    assert not {"bin/sh", "srv/stray", "srv", "bin"} & top.keys(), "what the base has is not written again"


def shop_layers(shop: Workshop) -> list[dict[str, object]]:
    """Layers whose parents may be in a lower one."""
    from apkiln.image.layer_reading import LayerReader

    opened = open_place(shop.files, PurePosixPath("out/image"), DEFAULT_LIMITS)
    found = []
    for layer in stored(shop).layers:
        with opened.open(layer.name) as stream:
            found.append({entry.path: b"".join(chunks) for entry, chunks in LayerReader(stream)})
    return found  # type: ignore[return-value]


def test_one_database_has_the_rows_of_both_word_for_word() -> None:
    shop = shop_with_base()
    build(shop, upon(["app"]))
    layers = shop_layers(shop)
    old, new = layers[0][DATABASE], layers[-1][DATABASE]
    assert isinstance(old, bytes) and isinstance(new, bytes)
    rows = {package.record.name: package for package in parse_installed(new)}
    assert {package.record.name: package for package in parse_installed(old)} == {
        name: rows[name] for name in ("layout", "shell")
    }
    assert sorted(rows) == ["app", "layout", "shell"]
    assert layers[-1]["etc/apk/world"] == b"app\nlayout\nshell\n"


def test_accounts_are_extended() -> None:
    shop = shop_with_base()
    more = "archs: [amd64]\naccounts: {run-as: old, users: [{username: new, uid: 1600}]}"
    built = build(shop, upon(["app"], more=more))
    text = shop_layers(shop)[-1]["etc/passwd"]
    assert isinstance(text, bytes)
    assert [line.split(":")[0] for line in text.decode().splitlines()] == ["root", "old", "new"]
    assert stored(shop).configuration.process.user == "1500"
    assert audited(shop, built).violations == ()


def test_the_base_is_named_and_inherited_from() -> None:
    shop = shop_with_base()
    build(shop, upon(["app"], more="archs: [amd64]\nenvironment: {BAR: top}"))
    old, new = stored(shop, "work/base"), stored(shop)
    assert set(new.configuration.process.env) == {"BAR=top", "FOO=base", "PATH=/base", *old.configuration.process.env}
    assert new.configuration.process.entrypoint == ("/bin/sh",)
    assert new.configuration.history[: len(old.configuration.history)] == old.configuration.history
    manifest = json.loads(shop.files.read(PurePosixPath("out/image/blobs/sha256", new.name.partition(":")[2]), 1 << 20))
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == old.name


def test_packages_of_the_base_stay_although_newer_ones_exist() -> None:
    shop = shop_with_base()
    built = build(shop, upon(["app", "shell"]))
    assert [package.files.name_version for package in built.architectures[0].segments] == [
        "layout-1.0-r0", "shell-1.0-r0", "app-1.0-r0",
    ]  # fmt: skip
    shop.define(upon(["needs-new"]))
    with pytest.raises(UnsatisfiableError):
        shop.resolved()


def test_a_newer_package_of_the_base_asked_for_is_refused() -> None:
    shop = shop_with_base()
    shop.define(upon(["shell=2.0-r0"]))
    with pytest.raises(UnsatisfiableError):
        shop.resolved()


@pytest.mark.parametrize(("name", "path"), [("clash", "bin/sh"), ("over-stray", "srv/stray")])
def test_files_of_the_base_are_not_overwritten(name: str, path: str) -> None:
    shop = shop_with_base()
    shop.define(upon([name]))
    with pytest.raises(ApkilnError) as caught:
        shop.built()
    faults = caught.value.faults if isinstance(caught.value, FaultGroup) else (caught.value,)
    (fault,) = faults
    assert isinstance(fault, ConflictError)
    assert (fault.reason, fault.origin.member) == ("file-conflict", path)


def test_an_equal_file_of_the_base_is_kept() -> None:
    shop = shop_with_base()
    built = build(shop, upon(["same-stray"]))
    assert audited(shop, built).violations == ()
    assert "srv/stray" not in shop_layers(shop)[-1]
    assert any("srv/stray" in notice for notice in built.architectures[0].notices)


def test_a_known_base_is_not_read_again() -> None:
    shop = shop_with_base()
    first = build(shop, upon(["app"]))
    layers = stored(shop, "work/base").layers
    for layer in layers:
        shop.files.remove(PurePosixPath("work/base", layer.name))
    assert shop.built().index == first.index


def test_a_lying_layer_is_refused() -> None:
    shop = shop_with_base()
    (layer,) = stored(shop, "work/base").layers
    other = Workshop({"x86_64": base_packages()}, definition(["layout"]))
    other.written(other.built(), "work/base")
    (wrong,) = stored(other, "work/base").layers
    shop.files.put(f"work/base/{layer.name}", other.files.read(PurePosixPath("work/base", wrong.name), 1 << 20))
    fresh = Workshop({"x86_64": new_packages()}, upon(["app"]))
    for path, data in shop.files.snapshot().items():
        if path.startswith("work/base/"):
            fresh.files.put(path, data)
    with pytest.raises(VerificationError) as caught:
        fresh.resolved()
    assert caught.value.reason == "digest-mismatch"


def test_a_base_for_another_architecture_is_refused_with_the_line() -> None:
    shop = shop_with_base()
    shop.define(upon(["app"], more="archs: [arm64]"))
    shop.publish("aarch64", [sample_package("app", arch="aarch64")])
    with pytest.raises(ConfigurationError) as caught:
        shop.resolved()
    assert (caught.value.reason, caught.value.origin.line) == ("base-architecture", 5)


def test_a_lock_holds_the_new_packages_and_the_base_and_gives_the_same_image() -> None:
    shop = shop_with_base()
    first = build(shop, upon(["app"]))
    lock = shop.locked()
    assert [row.name for row in lock.packages] == ["app"]
    assert [(row.architecture, row.digest) for row in lock.bases] == [("x86_64", stored(shop, "work/base").name)]
    assert lock.requested == (("x86_64", ("app",)),)
    again = parse_lock(write_lock(lock))
    assert again == lock
    shop.files.remove(PurePosixPath("work/repo/x86_64/APKINDEX.tar.gz"))
    assert shop.built(shop.replayed(again)).index == first.index


def test_another_base_than_the_locked_one_is_refused() -> None:
    shop = shop_with_base()
    shop.define(upon(["app"]))
    lock = shop.locked()
    for path in [path for path in shop.files.snapshot() if path.startswith("work/base/")]:
        shop.files.remove(PurePosixPath(path))
    other = shop_with_base("labels: {a: b}\n")
    for path, data in other.files.snapshot().items():
        if path.startswith("work/base/"):
            shop.files.put(path, data)
    with pytest.raises(VerificationError) as caught:
        shop.replayed(lock)
    assert caught.value.reason == "lock-base-changed"


def test_updating_a_lock_leaves_the_base_alone() -> None:
    shop = shop_with_base()
    shop.define(upon(["app"]))
    lock = shop.locked()
    newer = sample_package("app", "2.0-r0", files={"usr/bin/app": b"newer"}, depends=["shell"])
    shop.publish("x86_64", [*new_packages(), newer])
    updated = shop.updated(lock, "app")
    assert [row.name_version for row in updated.packages] == ["app-2.0-r0"]
    assert updated.bases == lock.bases


# --- images of others --------------------------------------------------------------------------------------------------


def identity(data: bytes) -> str:
    return "Q1" + b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


TOOL = b"tool of another"
RECORD = f"""C:{identity(b"tool")}
P:tool
V:1.0-r0
A:x86_64
S:10
I:10
T:a tool
p:cmd:tool=1.0-r0
F:bin
R:tool
a:0:0:755
Z:{identity(TOOL)}
F:etc
F:gone
R:lost
Z:{identity(b"lost")}

"""


def foreign_layers(database: str = "lib/apk/db", record: str = RECORD, tool: bytes = TOOL) -> list[list[Item]]:
    """A base as other tools make it: several layers, a whiteout, stray links, missing directories, the old database place."""
    folders = [directory("/".join(database.split("/")[: depth + 1])) for depth in range(database.count("/") + 1)]
    first = [
        *(folders if database.startswith("lib") else [directory("lib"), directory("usr"), *folders[1:]]),
        Item(f"{database}/installed", record.encode()),
        directory("bin"),
        Item("bin/tool", b"older tool", mode=0o755),
        Item("bin/removed", b"x"),
        symlink("sbin", "bin"),
        Item("opt/no/parent", b"deep"),
    ]
    second = [
        directory("bin"),
        Item("bin/.wh.removed"),
        Item("bin/tool", tool, mode=0o755),
        hard_link("bin/tool-link", "bin/tool"),
        directory("etc"),
        Item("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        directory("srv", mode=0o2750, uid=7, gid=7),
        Item("srv/two", b"joined"),
        hard_link("srv/one", "srv/two"),
    ]
    return [first, second]


def foreign_shop(layers: Sequence[Sequence[Item]], packages: Sequence[SamplePackage] | None = None) -> Workshop:
    shop = Workshop({"x86_64": packages or [sample_package("app", files={"sbin/app": b"app"})]}, upon(["app"]))
    process = {"Env": ["A=1"], "Cmd": ["/bin/tool"], "Labels": {"l": "1"}, "Volumes": {"/data": {}}}
    for path, data in oci_layout(layers, process).items():
        shop.files.put(f"work/base/{path}", data)
    return shop


@pytest.mark.parametrize("database", ["lib/apk/db", "usr/lib/apk/db"])
def test_images_of_others_are_built_upon(database: str) -> None:
    shop = foreign_shop(foreign_layers(database))
    built = build(shop, upon(["app"]))
    report = audited(shop, built)
    assert [v for v in report.violations if v.rule != "missing-parent"] == []
    assert {v.path for v in report.violations} == {"opt/no/parent"}, "the base itself leaves the directory out"
    top = shop_layers(shop)[-1]
    assert f"{database}/installed" in top
    assert {"opt", "opt/no"} <= top.keys(), "made up for"
    assert {"bin/app", "sbin/app"} & top.keys() == {"bin/app"}, "a stray link is followed"
    assert ("lib/apk" in top) == (database != "lib/apk/db")
    assert any("gone/lost" in notice for notice in built.architectures[0].notices)
    rows = parse_installed(top[f"{database}/installed"])  # type: ignore[arg-type]
    assert {row.record.name: [item.path for item in row.files] for row in rows} == {"app": ["bin/app"], "tool": ["bin/tool"]}


def test_packages_in_layers_of_their_own_keep_directories_as_the_base_has_them() -> None:
    packages = [sample_package("app", files={"srv/app": b"app"}), sample_package("more", files={"srv/sub/x": b"x"})]
    shop = foreign_shop(foreign_layers(), packages)
    built = build(shop, upon(["app", "more"], more=f"archs: [amd64]\n{LAYERINGS[1]}"))
    assert [v for v in audited(shop, built).violations if v.rule != "missing-parent"] == []
    assert len(built.architectures[0].layers) == 2 + 3
    tree = FinishedTree(built.architectures[0].tree.draft, built.architectures[0].planned)
    (folder,) = [entry for entry in tree.entries if entry.path == "srv"]
    assert (folder.mode, folder.uid, folder.gid) == (0o755, 0, 0), "a package ships it now"


def test_a_whiteout_and_an_overwritten_file_of_the_base_count() -> None:
    built = build(foreign_shop(foreign_layers()), upon(["app"])).architectures[0]
    tree = FinishedTree(built.tree.draft, built.planned)
    contents = {entry.path: b"".join(tree.content(entry.path)) for entry in tree.entries if entry.size}
    assert "bin/removed" not in contents
    assert contents["bin/tool"] == TOOL
    assert {entry.path: entry.target for entry in tree.entries if entry.path.startswith("srv/")} == {
        "srv/one": "",
        "srv/two": "srv/one",
    }
    assert contents["srv/one"] == b"joined"
    assert contents["bin/tool-link"] == TOOL
    assert contents["opt/no/parent"] == b"deep"


def test_a_file_that_the_base_changed_is_told_of_and_not_laundered() -> None:
    shop = foreign_shop(foreign_layers(tool=b"tampered"))
    built = build(shop, upon(["app"]))
    assert [v for v in audited(shop, built).violations if v.rule != "missing-parent"] == []
    top = shop_layers(shop)[-1]
    rows = parse_installed(top["lib/apk/db/installed"])  # type: ignore[arg-type]
    (file,) = next(row.files for row in rows if row.record.name == "tool")
    assert file.digest == hashlib.sha1(TOOL, usedforsecurity=False).digest(), "the record stays that of the package"
    manifest = json.loads(top["etc/apkiln/manifest.json"])  # type: ignore[arg-type]
    overrides = {row["path"]: row for row in manifest["overrides"]}
    assert overrides["bin/tool"]["by"] == "base-image"
    assert overrides["bin/tool"]["package"] == "tool"
    assert overrides["bin/tool"]["sha256"] == hashlib.sha256(b"tampered").hexdigest()


def test_what_the_base_is_said_to_have_must_be_in_its_layers() -> None:
    shop = foreign_shop(foreign_layers())
    built = build(shop, upon(["app"]))
    opened = open_place(shop.files, PurePosixPath("out/image"), DEFAULT_LIMITS)
    read = read_image(opened, stored(shop), DEFAULT_LIMITS)
    assert read.diff_ids is not None
    for forged in (read._replace(diff_ids=read.diff_ids[1:]), read._replace(diff_ids=())):
        assert "base-layers" in {v.rule for v in audit("image", forged).violations}
    document = json.loads(read.documents["etc/apkiln/manifest.json"])
    document["base"]["layers"] = document["base"]["layers"][:1]
    documents = dict(read.documents) | {"etc/apkiln/manifest.json": json.dumps(document).encode()}
    moved = {v.path for v in audit("image", read._replace(documents=documents)).violations if v.rule == "base-layers"}
    assert "bin/tool-link" in moved
    assert built.architectures[0].layers


def test_a_base_without_a_database_is_refused_with_the_line() -> None:
    shop = foreign_shop([[directory("bin"), Item("bin/tool", TOOL)]])
    with pytest.raises(ConfigurationError) as caught:
        shop.resolved()
    assert (caught.value.reason, caught.value.origin.line) == ("base-without-database", 5)


def test_rows_of_packages_may_be_given_beside_the_image() -> None:
    shop = foreign_shop([[directory("bin"), Item("bin/tool", TOOL, mode=0o755)]])
    shop.files.put("work/rows/x86_64/APKINDEX", RECORD.encode())
    built = build(shop, upon(["app"]).replace("image: base", "image: base, apkindex: rows"))
    assert audited(shop, built).violations == ()
    assert [segment.files.name for segment in built.architectures[0].segments] == ["tool", "app"]


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([[hard_link("a", "nowhere")]], "hard-link-target"),
        ([[Item("a", b"x"), Item("a/b", b"x")]], "path-through-file"),
        ([[Item("a\nb", b"x")]], ""),
    ],
)
def test_what_no_engine_could_unpack_is_refused(layers: list[list[Item]], reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        foreign_shop(layers).resolved()
    assert caught.value.reason == reason or not reason


def test_a_broken_database_names_the_base() -> None:
    with pytest.raises(ApkilnError) as caught:
        foreign_shop(foreign_layers(record="nonsense\n")).resolved()
    assert "base" in str(caught.value.origin)


PROCESS = Process(
    cmd=("c",), entrypoint=("e",), env=("A=1", "B=1"), labels=(("l", "1"), ("m", "1")), user="u", volumes=("/v",),
    working_dir="/w", exposed_ports=("80/tcp",), stop_signal="INT",
)  # fmt: skip


def test_what_is_said_anew_overrides_key_by_key() -> None:
    new = Process(env=("B=2", "C=2"), labels=(("m", "2"),), volumes=("/n",), exposed_ports=("81/tcp",))
    found = inherited(PROCESS, new, ImageConfiguration(environment=(("B", "2"), ("C", "2"))))
    assert {"A=1", "B=2", "C=2"} <= set(found.env)
    assert found.labels == (("l", "1"), ("m", "2"))
    assert (found.volumes, found.exposed_ports) == (("/n", "/v"), ("80/tcp", "81/tcp"))
    assert (found.entrypoint, found.cmd, found.user, found.working_dir, found.stop_signal) == (("e",), ("c",), "u", "/w", "INT")


@given(st.booleans(), st.booleans())
@settings(max_examples=8)
def test_a_new_entrypoint_drops_the_old_command(has_entrypoint: bool, has_command: bool) -> None:
    new = Process(entrypoint=("n",) if has_entrypoint else (), cmd=("k",) if has_command else ())
    found = inherited(PROCESS, new, ImageConfiguration())
    assert found.entrypoint == (("n",) if has_entrypoint else ("e",))
    assert found.cmd == (("k",) if has_command else () if has_entrypoint else ("c",))


def test_equal_definitions_give_equal_images_from_any_cache() -> None:
    first, second = shop_with_base("layering: {strategy: package, budget: 3}\n"), shop_with_base(LAYERINGS[1])
    second.define(upon(["app"]))
    second.built()
    assert build(first, upon(["app"])).index == build(second, upon(["app"])).index
    assert union(first.layers("work/base")) == union(second.layers("work/base"))


# --- registries --------------------------------------------------------------------------------------------------------


def test_a_base_in_a_registry_gives_the_same_layers_and_is_named() -> None:
    shop = shop_with_base()
    registry = MemoryRegistry()
    client = memory_registry_client(registry)
    place = open_place(shop.files, PurePosixPath("work/base"), DEFAULT_LIMITS)
    publish(
        plan_publication(publishable_place(place, DEFAULT_LIMITS), [parse_reference("host.example/base:1")]), client, Silent(), 2
    )
    digest = stored(shop, "work/base").name
    local = build(shop, upon(["app"]))

    named = f"registry:host.example/base@{digest}"
    shop.define(upon(["app"], image=f'"{named}"'))
    loaded = shop.loaded()
    resolution = resolve(
        loaded.configuration,
        loaded.checksum,
        ResolveOptions(AMD64),
        shop.access,
        lambda text: RegistryPlace(client, shop.store, parse_reference(text.removeprefix("registry:"))),
    )
    built = shop.built(resolution)
    assert [layer.layer.digests for layer in built.architectures[0].layers][:-1] == [
        layer.layer.digests for layer in local.architectures[0].layers
    ][:-1]
    manifest = json.loads(built.images[0].manifest)
    assert manifest["annotations"]["org.opencontainers.image.base.name"] == f"host.example/base@{digest}"
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == digest
    publish(
        plan_publication(publishable_build(built.finished(), shop.store), [parse_reference("host.example/app:1")]),
        client,
        Silent(),
        2,
    )
    assert set(registry.tags("app")) == {"1"}
