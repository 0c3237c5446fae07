"""Judges for reports about images: each case on a machine in memory.

`build-tree`: `package`, or a list `packages`, with `files` (`path/` is a directory) or `tar` members (`path mode`,
`link -> target`); `image` is the definition, without repositories and keys of its own.  `error-text` and `solve`-like refusals
name repositories that an unknown key signed.  `oci-annotations`, `oci-shape`: an image of one small package.
`config-error`, `config-merge`: definitions as texts.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tests.image_workshop import HERE, Workshop, union
from tests.sample_packages import SamplePackage, sample_index, sample_package, sample_signer

from apkiln.acquire.access import Access
from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.index import record_of
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.package_writer import PackageDraft, write_package
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.formats.oci.parsing import parse_manifest
from apkiln.image.building import BuildOptions, BuiltImage, build_image
from apkiln.image.configuration.loading import load_configuration
from apkiln.image.configuration.rendering import completed, document
from apkiln.image.place import DirectoryPlace, Place, open_place
from apkiln.image.resolving import ResolveOptions, resolve
from apkiln.system.memory_server import MemoryServer, memory_transfer

Row = dict[str, Any]
_DATABASE = "usr/lib/apk/db/installed"
_SIGNER = "key file name of the signature"
"""What a case calls the name of the key, which it cannot know."""


class Unjudged(Exception):
    """The case asks for something that no judge here looks at."""


def build_tree(given: Row, expected: Row) -> str:
    """The tree of an image of the packages, built on a machine of any architecture."""
    if "definition" in given:
        raise Unjudged("definition of a package")
    _known(expected, {"files", "absent", "links", "installed_has_lines", "installed_lacks_lines", "error", "mentions"})
    rows = given.get("packages") or [given["package"]]
    text = given.get("image") or json.dumps({"archs": ["x86_64"], "contents": {"packages": [row["name"] for row in rows]}})
    shop = _shop(text, rows)
    try:
        built = _built(shop, Arch.parse(given.get("build_host_arch", "x86_64")))
    except ApkilnError as error:
        return refusal(error, expected)
    if expected.get("error"):
        return "built, a refusal is wanted"
    shop.written(built)
    return "; ".join(fault for number in range(len(built.architectures)) for fault in _tree_faults(shop, number, expected))


def _tree_faults(shop: Workshop, number: int, expected: Row) -> Iterator[str]:
    tree = union(shop.layers(number=number))
    contents = {path: data for layer in shop.layers(number=number) for path, (_, _, data) in layer.items()}
    for path, text in expected.get("files", {}).items():
        if text is None and path in tree:
            yield f"{path} is there"
        elif text is not None and contents.get(path) != text.encode():
            yield f"{path} is {contents.get(path)!r}"
    yield from (f"{path} is there" for path in expected.get("absent", ()) if path in tree)
    for path, target in expected.get("links", {}).items():
        if path not in tree or tree[path][0].target != target:
            yield f"{path} leads elsewhere"
    lines = contents[_DATABASE].decode().splitlines()
    yield from (f"no line {line}" for line in expected.get("installed_has_lines", ()) if line not in lines)
    yield from (f"a line {line}" for line in expected.get("installed_lacks_lines", ()) if line in lines)


def error_text(given: Row, expected: Row) -> str:
    """Repositories whose indexes are signed by a key that nobody named."""
    _known(expected, {"error", "mentions", "not_mentions"})
    from apkiln.core.secret import redact_url

    signer, package = sample_signer("builder-4a6a0840.rsa.pub"), sample_package("hello")
    server = MemoryServer()
    for address in given["repositories"]:
        for url in (address, redact_url(address)):
            server.put(f"{url}/x86_64/APKINDEX.tar.gz", sample_index([package], signer))
            server.put(f"{url}/x86_64/{package.file_name}", package.data)
    contents = {"repositories": given["repositories"], "keyring": given.get("keyring", []), "packages": ["hello"]}
    text = given.get("image") or json.dumps({"archs": ["x86_64"], "contents": contents})
    shop = Workshop({}, text)
    shop.access = Access(shop.store, memory_transfer(server), shop.files, directory=HERE)
    wanted = {**expected, "mentions": [word.replace(_SIGNER, signer.name) for word in expected.get("mentions", ())]}
    try:
        shop.resolved()
    except ApkilnError as error:
        return refusal(error, wanted)
    return "resolved, a refusal is wanted" if expected.get("error") else ""


def config_error(given: Row, expected: Row) -> str:
    """Definitions that are refused, or remarked upon, with their place."""
    _known(expected, {"error", "warning", "diagnostic", "mentions", "not_mentions", "at"})
    files = _definitions(given)
    notes: list[str] = []
    try:
        loaded = load_configuration(next(iter(files)), files.get)
        notes = [str(note) for note in loaded.notes]
    except ApkilnError as error:
        return refusal(error, {**expected, "error": expected.get("error") or expected.get("diagnostic")})
    if expected.get("error"):
        return "accepted, a refusal is wanted"
    if expected.get("warning") or expected.get("diagnostic"):
        missing = [word for word in expected.get("mentions", ()) if word not in "\n".join(notes)]
        return f"no remark with {missing}: {notes}" if missing or not notes else ""
    return ""


def config_merge(given: Row, expected: Row) -> str:
    """The merged definition has the values that are named; lists in their order."""
    files = _definitions(given)
    try:
        found = document(completed(load_configuration(next(iter(files)), files.get).configuration))
    except ApkilnError as error:
        return refusal(error, expected)
    wanted = expected.get("merged") or expected.get("config") or expected.get("value")
    if wanted is None:
        raise Unjudged(f"expectation {sorted(expected)}")
    return "; ".join(_missing_values(wanted, found, ""))


def _missing_values(wanted: Any, found: Any, place: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, item in wanted.items():
            yield from _missing_values(item, found.get(key), f"{place}.{key}".lstrip("."))
    elif wanted != found:
        yield f"{place} is {found!r}, not {wanted!r}"


def oci_annotations(given: Row, expected: Row) -> str:
    """Which annotations stand on the index and on each manifest, also upon a base image that has its own."""
    _known(expected, {"index_annotations", "each_manifest_annotations", "manifest_has", "index_and_manifest_have_not"})
    built = _annotated(given)
    index = dict(built.index.annotations)
    manifests = [dict(parse_manifest(item.image.manifest).annotations) for item in built.architectures]
    faults = [*_differing("the index", expected.get("index_annotations", {}), index)]
    for manifest in manifests:
        faults += _differing("a manifest", expected.get("each_manifest_annotations", {}), manifest)
        faults += [f"a manifest lacks {key}" for key in expected.get("manifest_has", ()) if key not in manifest]
    for key in expected.get("index_and_manifest_have_not", ()):
        faults += [f"{key} is there" for found in (index, *manifests) if key in found]
    return "; ".join(faults)


def _differing(what: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterable[str]:
    return (f"{what} has {key} {found.get(key)!r}" for key, text in wanted.items() if found.get(key) != text)


def oci_shape(given: Row, expected: Row) -> str:
    """Platforms of the index, in any order, and how many layers each image has."""
    _known(expected, {"platforms", "layers"})
    built = _annotated(given)
    found = sorted(f"linux/{item.arch.oci}" for item in built.architectures)
    layers = {len(item.layers) for item in built.architectures}
    if found != sorted(expected.get("platforms", found)):
        return f"platforms {found}"
    return "" if layers == {expected.get("layers", *layers)} else f"{layers} layers"


# --- making ------------------------------------------------------------------------------------------------------------


def _annotated(given: Row) -> BuiltImage:
    platforms = [text.removeprefix("linux/") for text in given.get("platforms", ["linux/amd64"])]
    base = given.get("base_manifest_annotations")
    definition: Row = {
        "archs": platforms,
        "annotations": given.get("annotations", {}),
        "contents": {"packages": ["hello"]},
    }
    if base is None:
        return _built(_shop(json.dumps(definition), [{"name": "hello", "files": ["usr/bin/hello"]}]))
    rows = [{"name": "base", "files": ["etc/base"]}, {"name": "hello", "files": ["usr/bin/hello"]}]
    shop = _shop(json.dumps({"archs": platforms, "annotations": base, "contents": {"packages": ["base"]}}), rows)
    shop.written(_built(shop), "work/base")
    definition["contents"]["baseimage"] = {"image": given.get("base_ref", "base")}
    shop.define(_with_repository(json.dumps(definition)))
    name = given.get("base_ref", "")
    return _built(shop, open_base=lambda _: _NamedPlace(shop, name))


class _NamedPlace(DirectoryPlace):
    """The layout `base`, under the name that a registry has for it."""

    def __init__(self, shop: Workshop, name: str) -> None:
        super().__init__(shop.files, HERE / "base")
        self.name = name or self.name


def _shop(text: str, rows: Iterable[Row]) -> Workshop:
    import yaml

    listed = list(rows)
    archs = yaml.safe_load(text).get("archs") or ["x86_64"]
    repository = {Arch.parse(arch).apk: [_package(row, Arch.parse(arch).apk) for row in listed] for arch in archs}
    return Workshop(repository, _with_repository(text))


def _with_repository(text: str) -> str:
    """The definition, with the repository and the key of the workshop."""
    import yaml

    value = yaml.safe_load(text)
    value.setdefault("archs", ["x86_64"])
    value.setdefault("contents", {}).update(repositories=["repo"], keyring=["keys/sample.rsa.pub"])
    return json.dumps(value)


def _package(row: Row, arch: str) -> SamplePackage:
    made = [_member(text) for text in row.get("tar", ())] or [*_listed(row.get("files", ()))]
    names = {entry.path for entry, _ in made}
    parents = {str(parent) for name in names for parent in PurePosixPath(name).parents} - names - {"."}
    made += [(Entry(path, EntryType.DIRECTORY, 0o755), b"") for path in sorted(parents)]
    contents = {entry.path: content for entry, content in made}
    name: str = row["name"]
    info = PackageInfo(
        name,
        row.get("version", "1.0-r0"),
        arch=arch,
        license="MIT",
        origin=row.get("origin", name),
        build_date=1,
        depends=tuple(row.get("depends", ())),
        provides=tuple(row.get("provides", ())),
        replaces=tuple(row.get("replaces", ())),
        install_if=tuple(row.get("install_if", ())),
    )
    out, spool = io.BytesIO(), io.BytesIO()
    draft = PackageDraft(info, tuple(entry for entry, _ in made))
    write_package(draft, lambda path: iter([contents[path]]), canonical_codec(), spool, out.write)
    data = out.getvalue()
    return SamplePackage(data, record_of(read_package(io.BytesIO(data))), (0, 0))


def _member(text: str) -> tuple[Entry, bytes]:
    """`path mode`, `directory/ mode` or `link -> target`; a file holds its own path."""
    path, arrow, target = text.partition(" -> ")
    if arrow:
        return Entry(path, EntryType.SYMLINK, 0o777, target=target), b""
    path, _, mode = text.partition(" ")
    bits = int(mode or ("755" if path.endswith("/") else "644"), 8)
    if path.endswith("/"):
        return Entry(path.rstrip("/"), EntryType.DIRECTORY, bits), b""
    return Entry(path, EntryType.FILE, bits, size=len(path.encode())), path.encode()


def _listed(files: Iterable[str] | Mapping[str, str]) -> Iterator[tuple[Entry, bytes]]:
    if isinstance(files, Mapping):
        for path, text in files.items():
            yield Entry(path, EntryType.FILE, 0o644, size=len(text.encode())), text.encode()
    else:
        yield from map(_member, files)


def _built(shop: Workshop, host: Arch | None = None, open_base: Callable[[str], Place] | None = None) -> BuiltImage:
    loaded = shop.loaded()
    opened = open_base or (lambda text: open_place(shop.files, HERE / text, DEFAULT_LIMITS))
    options = ResolveOptions(host or Arch.parse("x86_64"))
    resolution = resolve(loaded.configuration, loaded.checksum, options, shop.access, opened)
    return build_image(loaded.configuration, resolution, BuildOptions(canonical_codec(), directory=HERE), shop.access)


def _definitions(given: Row) -> dict[str, bytes]:
    """The texts of a case by file name, the one to load first: `files`, or `child` over `base`, or a single one."""
    if "files" in given:
        files = {name: text.encode() for name, text in given["files"].items()}
        main = given.get("main", next(iter(files)))
        return {main: files[main], **files}
    if "child" in given:
        child = given["child"] if "include:" in given["child"] else f"include: base.yaml\n{given['child']}"
        return {"image.yaml": child.encode(), "base.yaml": given["base"].encode()}
    for key in ("image", "config", "yaml"):
        if key in given:
            return {"image.yaml": given[key].encode()}
    raise Unjudged(f"input {sorted(given)}")


# --- judging -----------------------------------------------------------------------------------------------------------


def refusal(error: ApkilnError, expected: Row) -> str:
    """What is wrong with a refusal: not wanted, or its text lacks or tells what it must not, or another place."""
    if not expected.get("error"):
        return f"refused: {error}"
    from apkiln.cli.output import render_error

    text = render_error(error, color=False)
    faults = error.faults if isinstance(error, FaultGroup) else (error,)
    wrong = [f"lacks {word}" for word in expected.get("mentions", ()) if word not in text]
    wrong += [f"tells {word}" for word in expected.get("not_mentions", ()) if word in text]
    if "at" in expected and not any(f"{fault.origin}".startswith(expected["at"]) for fault in faults):
        wrong.append(f"is not at {expected['at']}")
    return f"the message {', '.join(wrong)}: {text!r}" if wrong else ""


def _known(expected: Row, keys: set[str]) -> None:
    if unknown := expected.keys() - keys:
        raise Unjudged(f"expectation {', '.join(sorted(unknown))}")


JUDGES: dict[str, Callable[[Row, Row], str]] = {
    "build-tree": build_tree,
    "error-text": error_text,
    "config-error": config_error,
    "config-merge": config_merge,
    "oci-annotations": oci_annotations,
    "oci-shape": oci_shape,
}
