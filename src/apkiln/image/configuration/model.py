"""The image definition as a value, one class per section of the file (spec image.md §2.1 and §2.3).

Strings keep their source text.  Defaults that belong to building (login shell, `PATH`, all architectures) are properties or
functions, not filled in, so that a definition can be shown as it was written.  Origins do not take part in equality.
"""

from __future__ import annotations

from apkiln.core.arch import KNOWN, Arch, parse_architectures
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.core.value import uncompared, value

NOWHERE = Origin()

Pairs = tuple[tuple[str, str], ...]
"""A mapping as pairs sorted by key."""


@value
class RepositoryEntry:
    """One repository as written: `URL`, a path, or `@tag URL`; no trailing slashes.  May hold credentials: show `redacted`."""

    text: str
    origin: Origin = uncompared(default=NOWHERE)

    @property
    def redacted(self) -> str:
        """The entry without the user part of its URL: the form for everything that is written down."""
        tag, space, address = self.text.rpartition(" ")
        return f"{tag}{space}{redact_url(address)}"


@value
class KeyringEntry:
    """A public key to trust and, for `keyring`, to ship: a path or URL."""

    location: str
    sha256: str = ""
    """Pin: hex SHA-256 of the key file; empty = none."""
    origin: Origin = uncompared(default=NOWHERE)


@value
class NamedContent:
    """An inline file: a runtime key or a certificate."""

    name: str
    content: str
    origin: Origin = uncompared(default=NOWHERE)


@value
class PackageRequest:
    """One entry of `contents.packages`."""

    text: str
    """World syntax: `name`, `name=1.2`, `name@tag`, `!name` …"""
    archs: tuple[str, ...] = ()
    """Architectures (apk or OCI names) the entry is for; empty = all."""
    origin: Origin = uncompared(default=NOWHERE)

    def applies_to(self, arch: Arch) -> bool:
        return not self.archs or any(Arch.parse(name) == arch for name in self.archs)


@value
class BaseImage:
    """The image to build upon."""

    image: str
    apkindex: str = ""
    origin: Origin = uncompared(default=NOWHERE)


class Contents(NamedTuple):
    """Where packages come from and which are wanted.  List order is the file's; in `repositories` it is preference."""

    repositories: tuple[RepositoryEntry, ...] = ()
    """Solved against and written to `/etc/apk/repositories`."""
    build_repositories: tuple[RepositoryEntry, ...] = ()
    """Solved against only."""
    runtime_repositories: tuple[RepositoryEntry, ...] = ()
    """Written only."""
    keyring: tuple[KeyringEntry, ...] = ()
    runtime_keyring: tuple[NamedContent, ...] = ()
    packages: tuple[PackageRequest, ...] = ()
    baseimage: BaseImage | None = None
    drift: tuple[str, ...] = ()
    """Package names whose versions may differ between architectures."""
    no_runtime_repositories: bool = False
    """The image is meant to have an empty `/etc/apk/repositories`."""


@value
class CommandLine:
    """A command given as text, split as `command_words` says, or as a list taken as it is."""

    text: str = ""
    words: tuple[str, ...] = ()
    origin: Origin = uncompared(default=NOWHERE)

    def __bool__(self) -> bool:
        return bool(self.text or self.words)

    def split(self) -> tuple[str, ...]:
        """The argument vector.  Cannot fail on a validated definition; ValueError on an open quote otherwise."""
        from apkiln.image.configuration.command_words import split_words

        return self.words or split_words(self.text)


class Entrypoint(NamedTuple):
    """How the image starts.  `shell_fragment` wins over `command`."""

    type: str = ""
    """Empty or `service-bundle`."""
    command: CommandLine = CommandLine()
    shell_fragment: str = ""
    services: Pairs = ()
    """Service name to command line."""

    def arguments(self) -> tuple[str, ...]:
        """The `Entrypoint` of the image configuration; empty = none."""
        if self.shell_fragment:
            return ("/bin/sh", "-c", self.shell_fragment)
        if self.type == "service-bundle":
            return ("/bin/s6-svscan", "/sv")
        return self.command.split()


@value
class User:
    """A line of `/etc/passwd` to append."""

    username: str
    uid: int = 0
    gid: int | None = None
    shell: str = ""
    homedir: str = ""
    groups: tuple[str, ...] = ()
    """Supplementary group names."""
    origin: Origin = uncompared(default=NOWHERE)

    @property
    def group_id(self) -> int:
        """The primary group: `gid`, or the uid where no gid was given."""
        return self.uid if self.gid is None else self.gid

    @property
    def login_shell(self) -> str:
        return self.shell or "/bin/sh"

    @property
    def home(self) -> str:
        return self.homedir or f"/home/{self.username}"


@value
class Group:
    """A line of `/etc/group` to append."""

    groupname: str
    gid: int = 0
    members: tuple[str, ...] = ()
    origin: Origin = uncompared(default=NOWHERE)


class Accounts(NamedTuple):
    """Users and groups to add, and whom the image runs as."""

    run_as: str = ""
    """User name, number, or `user:group`; empty = not set."""
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    gshadow: bool = False


@value
class PathMutation:
    """One entry of `paths`, applied in order after the packages (spec image.md §5.5)."""

    path: str
    type: str
    """`directory` `empty-file` `hardlink` `symlink` `permissions` `file` `tree`."""
    uid: int | None = None
    gid: int | None = None
    permissions: int | None = None
    """Mode bits; None = leave as they are, or the default of a new node."""
    source: str = ""
    """Target of a link."""
    recursive: bool = False
    content: str | None = None
    """Inline content of a `file`."""
    from_path: str = ""
    """`from`: local file or directory a `file` or `tree` is copied from, relative to the definition."""
    sha256: str = ""
    """Expected hex SHA-256 of a `file`'s content; empty = unchecked."""
    force: bool = False
    follow: bool = False
    xattrs: Pairs = ()
    """Name to text or `base64:…`."""
    if_exists: str = ""
    """Empty = `error`; or `skip`, `replace`."""
    origin: Origin = uncompared(default=NOWHERE)


@value
class Layering:
    """How the tree is cut into layers.  An empty strategy, or `single`, is one layer."""

    strategy: str = ""
    """`origin`, `package`, `groups`, `single` or empty."""
    budget: int | None = None
    """Largest number of package layers; 0 counts as 1; None = not given."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Package names per layer, for `groups`."""
    origin: Origin = uncompared(default=NOWHERE)


class Certificates(NamedTuple):
    """Certificate authorities to trust beside those of the packages."""

    additional: tuple[NamedContent, ...] = ()
    providers: tuple[str, ...] = ()
    """Provided names; installed packages that provide one contribute their certificates."""


@value
class Include:
    """A base definition: a local path, or a URL which must be pinned."""

    location: str
    sha256: str = ""
    origin: Origin = uncompared(default=NOWHERE)


@value
class Healthcheck:
    """Docker's health check of the image configuration.  Durations keep their text (`30s`, `1m30s`)."""

    test: tuple[str, ...] = ()
    """`CMD`, words …; `CMD-SHELL`, text; or `NONE`."""
    interval: str = ""
    timeout: str = ""
    start_period: str = ""
    start_interval: str = ""
    retries: int = 0
    origin: Origin = uncompared(default=NOWHERE)


class SbomSettings(NamedTuple):
    """What the bills of materials say of their maker."""

    formats: tuple[str, ...] = ()
    """`spdx`, `cyclonedx`; empty = the command's default."""
    namespace: str = ""
    """Base URI of document namespaces."""
    supplier: str = ""
    creators: tuple[str, ...] = ()


class ImageConfiguration(NamedTuple):
    """A whole definition.  After loading, `include` names what was merged in."""

    contents: Contents = Contents()
    entrypoint: Entrypoint = Entrypoint()
    cmd: CommandLine = CommandLine()
    stop_signal: str = ""
    work_dir: str = ""
    accounts: Accounts = Accounts()
    archs: tuple[str, ...] = ()
    """As written: apk or OCI names, `all`, `host`; use `architectures`."""
    environment: Pairs = ()
    paths: tuple[PathMutation, ...] = ()
    vcs_url: str = ""
    """`url@commit`."""
    annotations: Pairs = ()
    include: tuple[Include, ...] = ()
    volumes: tuple[str, ...] = ()
    layering: Layering | None = None
    format: str = ""
    """Empty = `tar`; or `erofs`."""
    certificates: Certificates = Certificates()
    labels: Pairs | None = None
    """None = the annotations."""
    healthcheck: Healthcheck | None = None
    ports: tuple[str, ...] = ()
    """`80/tcp` …"""
    os_release: Pairs = ()
    sbom: SbomSettings = SbomSettings()
    scripts: str = ""
    """Empty = `report`; or `ignore`, `fail`."""
    merge: str = ""
    """`deep` merges sections of the included definition field by field; empty = whole sections, as the peer does."""

    def architectures(self, host: Arch) -> tuple[Arch, ...]:
        """Architectures to build for: `host` replaced, no duplicates, sorted by OCI name; all when none is given."""
        names = [host.apk if name == "host" else name for name in self.archs]
        return parse_architectures(names) if names else KNOWN

    def requests_for(self, arch: Arch) -> tuple[PackageRequest, ...]:
        """The package entries that count for `arch`: distinct texts, sorted, with `s6` for a service bundle."""
        chosen = {request.text: request for request in reversed(self.contents.packages) if request.applies_to(arch)}
        if self.entrypoint.type == "service-bundle":
            chosen.setdefault("s6", PackageRequest("s6"))
        return tuple(chosen[text] for text in sorted(chosen))
