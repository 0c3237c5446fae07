"""File system images, made by the programs that know their formats; the tree goes in as a tar stream, so no file is unpacked
and neither root nor a mount is needed (spec image.md §13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath

from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault, UnavailableError, UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.system.process import Command, Completed, Runner

_TIMEOUT = 3600.0


class FileSystem(NamedTuple):
    """One kind of file system and its program."""

    name: str
    program: str
    package: str
    """What distributions call the package of the program, with the oldest version that will do."""
    probe: tuple[str, ...]
    """Arguments that make the program describe itself."""
    evidence: bytes
    """What its description says when it can do what is needed."""
    compressions: tuple[str, ...]
    """The first is taken when the user names none."""


EROFS = FileSystem(
    "erofs", "mkfs.erofs", "erofs-utils 1.7", ("--help",), b"--tar=", ("none", "lz4", "lz4hc", "lzma", "deflate", "zstd")
)
SQUASHFS = FileSystem(
    "squashfs", "sqfstar", "squashfs-tools 4.5", ("-help",), b"SOURCE_DATE_EPOCH", ("zstd", "gzip", "lz4", "lzo", "xz", "lzma")
)


class Toolbox(NamedTuple):
    """How programs are run."""

    runner: Runner
    search_path: str
    """`PATH`; nothing else of the environment reaches a program."""

    def run(
        self,
        arguments: tuple[str, ...],
        feed: Callable[[], Iterable[bytes]] | None = None,
        variables: tuple[tuple[str, str], ...] = (),
    ) -> Completed:
        environment = (("LC_ALL", "C"), ("PATH", self.search_path), ("TZ", "UTC"), *variables)
        return self.runner.run(Command(arguments, environment, timeout=_TIMEOUT, feed=feed))


class ImageFacts(NamedTuple):
    """What a file system says of itself beside its files."""

    epoch: int
    """Unix seconds of its making."""
    newest: int
    """The latest time of any file."""
    identity: Digest
    """Of the image: the identifier of the file system is taken from it, so that equal images give equal bytes."""


def choose_compression(system: FileSystem, wanted: str) -> str:
    """`wanted`, or the default where it is empty.  Raises UsageError (`bad-output`)."""
    if wanted and wanted not in system.compressions:
        hint = "one of " + ", ".join(f"`{name}`" for name in system.compressions)
        raise UsageError(f"{system.name} knows no compression `{wanted}`", reason="bad-output", hint=hint)
    return wanted or system.compressions[0]


def check_program(system: FileSystem, tools: Toolbox, compression: str = "none") -> None:
    """Raises EnvironmentFault (`missing-program`, `program-too-old`, `compression-missing`) when the file system cannot be made
    here."""
    hint = f"install {system.package} or newer"
    try:
        answer = tools.run((system.program, *system.probe))
    except EnvironmentFault as fault:
        message = f"{system.name} images are made by `{system.program}`, which is not installed"
        raise EnvironmentFault(message, reason=fault.reason, origin=Origin(system.program), hint=hint) from None
    if system.evidence not in answer.stdout + answer.stderr:
        message = f"`{system.program}` of this machine cannot make an image from a tar archive"
        raise EnvironmentFault(message, reason="program-too-old", origin=Origin(system.program), hint=hint)
    words = set((answer.stdout + answer.stderr).decode("utf-8", "replace").replace(",", " ").split())
    built_in = [name for name in system.compressions if name in words]  # programs list what they were built with
    if compression != "none" and built_in and compression not in built_in:
        message = f"`{system.program}` of this machine was built without `{compression}`"
        hint = "it has " + ", ".join(f"`{name}`" for name in built_in)
        raise EnvironmentFault(message, reason="compression-missing", origin=Origin(system.program), hint=hint)


def make_file_system(
    system: FileSystem,
    tools: Toolbox,
    tar: Callable[[], Iterable[bytes]],
    output: PurePath,
    facts: ImageFacts,
    compression: str,
) -> None:
    """Write the image of the tree `tar` to `output`, which must not exist.

    Equal trees, facts and versions of the program give equal bytes.  Raises what the runner and `tar` raise, and
    UnavailableError `program-failed`.
    """
    if system is EROFS:
        answer = tools.run((system.program, *_erofs(output, facts, compression)), lambda: _with_root(tar, facts.epoch))
    else:
        # The one way to date the root.  It also dates what is newer, so nothing may be.
        dated = ("SOURCE_DATE_EPOCH", str(max(facts.epoch, facts.newest)))
        answer = tools.run((system.program, *_squashfs(output, compression)), tar, (dated,))
    if answer.exit_code:
        lines = (answer.stderr or answer.stdout).decode("utf-8", "replace").strip().splitlines()
        message = f"`{system.program}` failed: {lines[-1] if lines else f'exit code {answer.exit_code}'}"
        raise UnavailableError(message, reason="program-failed", origin=Origin(system.program))


def _with_root(tar: Callable[[], Iterable[bytes]], epoch: int) -> Iterator[bytes]:
    """The archive with an entry for the root itself, which layers have none of."""
    from tarfile import DIRTYPE, USTAR_FORMAT, TarInfo

    root = TarInfo("./")
    root.type, root.mode, root.mtime = DIRTYPE, 0o755, epoch
    yield root.tobuf(USTAR_FORMAT)
    yield from tar()


def _erofs(output: PurePath, facts: ImageFacts, compression: str) -> tuple[str, ...]:
    return (
        "--quiet",
        "--tar=f",
        f"-T{facts.epoch}",
        "--mkfs-time",
        f"-U{_uuid(facts.identity)}",
        *(() if compression == "none" else (f"-z{compression}",)),
        str(output),
    )


def _squashfs(output: PurePath, compression: str) -> tuple[str, ...]:
    """Numbers of processors and the like do not count: the program's own default is to be reproducible."""
    root = ("-root-mode", "755", "-root-uid", "0", "-root-gid", "0")
    return ("-comp", compression, *root, "-quiet", "-no-progress", "-exit-on-error", str(output))


def _uuid(digest: Digest) -> str:
    """A UUID of version 8 (RFC 9562: bits of our own choice) from a digest."""
    text = digest.hex
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-8{text[17:20]}-{text[20:32]}"
