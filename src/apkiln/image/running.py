"""Running an image without a container engine: unpack its layers once, then start its command in the sandbox."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apkiln.core.digest import Digest
from apkiln.core.errors import UsageError, VerificationError
from apkiln.core.limits import KIB, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive import path as paths
from apkiln.image.layer_reading import LayerReader, Measured
from apkiln.image.place import Place
from apkiln.image.stored import StoredImage, StoredLayer
from apkiln.system.sandbox import DEFAULT_LIMITS, Bind, RootAccess, Sandbox, SandboxLimits, SandboxResult, SandboxSpec, Streams
from apkiln.system.trees import Trees, TreeWriter

if TYPE_CHECKING:
    from apkiln.formats.oci.documents import Process

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ACCOUNTS_LIMIT = 256 * KIB


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the caller changes about the image's own way to start."""

    arguments: tuple[str, ...] = ()
    """Takes the place of the image's `Cmd` when not empty."""
    entrypoint: tuple[str, ...] | None = None
    """Takes the place of the image's `Entrypoint` and `Cmd`; () = none."""
    environment: tuple[tuple[str, str], ...] = ()
    """Added; a variable of the image gives way."""
    user: str = ""
    working_directory: str = ""
    access: RootAccess = RootAccess.PRIVATE
    network: bool = False
    binds: tuple[Bind, ...] = ()
    streams: Streams = Streams.INHERIT
    limits: SandboxLimits = DEFAULT_LIMITS


class Ids(NamedTuple):
    """Numeric user and group."""

    user: int
    group: int


def unpacked(place: Place, image: StoredImage, trees: Trees, limits: Limits, owners: str) -> str:
    """Key of the image's tree in `trees`, which is filled if it is not there yet.

    The key follows from the diffIDs alone (the chain of OCI's image specification) and from `owners`, a word for how ids
    are kept: the same layers are unpacked once however many images have them.  Digest, size and diffID of every layer are
    checked while it is read.  Raises VerificationError (`layer-digest`, `layer-size`, `diff-id`, `layer-count`) and what
    reading and unpacking raise; then no tree exists.
    """
    if len(image.layers) != len(image.configuration.diff_ids):
        message = f"the configuration lists {len(image.configuration.diff_ids)} layers, the manifest {len(image.layers)}"
        raise VerificationError(message, reason="layer-count", origin=Origin(place.name))
    key = f"{chain_id(image.configuration.diff_ids).hex}-{owners}"
    if trees.find(key) is None:
        with trees.build(key) as writer:
            for number, layer in enumerate(image.layers, 1):
                _unpack(place, layer, writer, limits, number)
    return key


def chain_id(diff_ids: tuple[Digest, ...]) -> Digest:
    """The ChainID of a stack of layers (OCI image configuration, "Layer ChainID"); of none: the SHA-256 of nothing."""
    if not diff_ids:
        return Digest.sha256(hashlib.sha256().digest())
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = Digest.sha256(hashlib.sha256(f"{chain} {diff_id}".encode()).digest())
    return chain


def run_image(trees: Trees, key: str, image: StoredImage, request: RunRequest, sandbox: Sandbox) -> SandboxResult:
    """Start the image's command in its unpacked tree.  Raises what `run_spec` and the sandbox raise."""
    root = trees.find(key)
    assert root is not None, "an image is unpacked before it runs"
    accounts = tuple(trees.read(key, f"etc/{name}", _ACCOUNTS_LIMIT) or b"" for name in ("passwd", "group"))
    return sandbox.run(run_spec(root, image.configuration.process, request, accounts[0], accounts[1]))


def run_spec(root: str, process: Process, request: RunRequest, passwd: bytes, group: bytes) -> SandboxSpec:
    """The sandbox run that starts an image as its configuration and the request say.

    Raises UsageError (`no-command`, `unknown-user`, `unknown-group`).  Pure.
    """
    ids = resolve_user(request.user or process.user, passwd, group)
    return SandboxSpec(
        root=root,
        command=command(process, request),
        environment=environment(process, request, _home(passwd, ids.user)),
        working_directory=request.working_directory or process.working_dir or "/",
        user=ids.user,
        group=ids.group,
        access=request.access,
        network=request.network,
        binds=request.binds,
        streams=request.streams,
        limits=request.limits,
    )


def command(process: Process, request: RunRequest) -> tuple[str, ...]:
    """Entrypoint and Cmd, as container engines combine them.  Raises UsageError `no-command`."""
    if request.entrypoint is not None:
        words = (*request.entrypoint, *request.arguments)
    else:
        words = (*process.entrypoint, *(request.arguments or process.cmd))
    if not words:
        hint = "name one after `--`"
        raise UsageError("the image has neither an entrypoint nor a command", reason="no-command", hint=hint)
    return words


def environment(process: Process, request: RunRequest, home: str) -> tuple[tuple[str, str], ...]:
    """The image's variables and the request's over them, sorted; `PATH` and `HOME` always."""
    variables = {"PATH": DEFAULT_PATH, "HOME": home}
    for text in process.env:
        name, _equals, value = text.partition("=")
        variables[name] = value
    return tuple(sorted((variables | dict(request.environment)).items()))


def resolve_user(user: str, passwd: bytes, group: bytes) -> Ids:
    """`""`, `name`, `uid`, each with or without `:group`, in numbers; names are looked up in the image's own files.

    Raises UsageError (`unknown-user`, `unknown-group`).
    """
    name, colon, group_name = user.partition(":")
    uid, gid = _numeric_user(name or "0", passwd)
    if colon:
        gid = _numeric_group(group_name, group)
    return Ids(uid, gid)


def _numeric_user(name: str, passwd: bytes) -> tuple[int, int]:
    for fields in _rows(passwd, 4):
        if name in (fields[0], fields[2]):
            return int(fields[2]), int(fields[3])
    if name.isdecimal():
        return int(name), 0
    raise UsageError(f"the image has no user `{name}`", reason="unknown-user")


def _numeric_group(name: str, group: bytes) -> int:
    for fields in _rows(group, 3):
        if fields[0] == name:
            return int(fields[2])
    if name.isdecimal():
        return int(name)
    raise UsageError(f"the image has no group `{name}`", reason="unknown-group")


def _home(passwd: bytes, uid: int) -> str:
    return next((fields[5] for fields in _rows(passwd, 6) if fields[2] == str(uid) and fields[5].startswith("/")), "/")


def _rows(text: bytes, least: int) -> Iterator[list[str]]:
    """Lines with at least `least` fields and numeric ids."""
    for line in text.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) >= least and all(field.isdecimal() for field in fields[2 : min(least, 4)]):
            yield fields


def _unpack(place: Place, layer: StoredLayer, writer: TreeWriter, limits: Limits, number: int) -> None:
    with place.open(layer.name) as stream:
        reader = LayerReader(stream, limits, name=f"layer {number}")
        for entry, content in reader:
            directory, _slash, name = entry.path.rpartition("/")
            if name == OPAQUE:
                writer.clear(directory)
            elif name.startswith(WHITEOUT):
                writer.remove(paths.join(directory, name.removeprefix(WHITEOUT)))
            else:
                writer.add(entry, content)
        _check(layer, reader.measured, Origin(place.name, member=f"layer {number}"))


def _check(layer: StoredLayer, measured: Measured, origin: Origin) -> None:
    for reason, expected, found in (
        ("layer-digest", layer.digest, measured.digest),
        ("layer-size", layer.size, measured.size),
        ("diff-id", layer.diff_id, measured.diff_id),
    ):
        if expected is not None and expected != found:
            raise VerificationError(f"the layer has {found}, its documents say {expected}", reason=reason, origin=origin)
