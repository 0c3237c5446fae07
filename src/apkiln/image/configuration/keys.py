"""Every key of an image definition: the one table behind the reader and the published JSON schema (spec image.md §2)."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple


class Key(NamedTuple):
    """One key of a section."""

    name: str
    kind: str
    """`text` `integer` `mode` `boolean` `texts` `pairs` `command` (text or list), `section:NAME`, `list:NAME` (of sections),
    `mixed:NAME` (list of text or sections) or `optional:NAME` (text, or such a list)."""
    help: str
    extension: bool = False
    """Not known to apko; refused by `--strict-apko`."""
    choices: tuple[str, ...] = ()
    """The texts allowed; empty = any."""


PEER_PATH_TYPES = ("directory", "empty-file", "hardlink", "symlink", "permissions")
PATH_TYPES = (*PEER_PATH_TYPES, "file", "tree")

SECTIONS: dict[str, tuple[Key, ...]] = {
    "": (
        Key("contents", "section:contents", "packages and the repositories and keys they come with"),
        Key("entrypoint", "section:entrypoint", "how the image starts"),
        Key("cmd", "command", "default arguments of the entrypoint, split by POSIX rules or given as a list"),
        Key("stop-signal", "text", "signal that stops a container, for example SIGTERM"),
        Key("work-dir", "text", "working directory"),
        Key("accounts", "section:accounts", "users and groups to add, and the user the image runs as"),
        Key("archs", "texts", "architectures to build, by apk or OCI name, or `all`, `host`; all when absent"),
        Key("environment", "pairs", "environment variables"),
        Key("paths", "list:path", "files, directories, links and permissions to set after the packages, in order"),
        Key("vcs-url", "text", "source of the definition as url@commit"),
        Key("annotations", "pairs", "annotations of manifests and index; labels too unless `labels` is given"),
        Key("include", "optional:include", "definition this one builds upon"),
        Key("volumes", "texts", "mount points"),
        Key("layering", "section:layering", "how packages are spread over layers; one layer when absent"),
        Key("format", "text", "form of the layers", choices=("tar", "erofs")),
        Key("certificates", "section:certificates", "certificate authorities to trust"),
        Key("labels", "pairs", "labels of the image configuration, instead of the annotations", True),
        Key("healthcheck", "section:healthcheck", "how a container engine asks whether the image is well", True),
        Key("ports", "texts", "exposed ports, for example 80/tcp", True),
        Key("os-release", "pairs", "values that replace single ones in /etc/os-release", True),
        Key("sbom", "section:sbom", "what bills of materials say of their maker", True),
        Key("scripts", "text", "what to do about package scripts", True, ("report", "ignore", "fail", "sandbox")),
        Key("merge", "text", "`deep`: merge sections of the included definition field by field", True, ("deep",)),
    ),
    "contents": (
        Key("build_repositories", "texts", "repositories to solve against only"),
        Key("runtime_repositories", "texts", "repositories to write into the image only"),
        Key("repositories", "texts", "repositories to solve against and to write into the image, in order of preference"),
        Key("keyring", "mixed:key", "public keys to trust, as path or URL; they ship in the image"),
        Key("runtime_keyring", "list:named", "public keys for the image only, inline"),
        Key("packages", "mixed:package", "packages wanted, in the syntax of /etc/apk/world"),
        Key("baseimage", "section:baseimage", "image to build upon"),
        Key("drift", "texts", "packages whose versions may differ between architectures", True),
        Key("no_runtime_repositories", "boolean", "the image is meant to have no repositories", True),
    ),
    "key": (
        Key("path", "text", "local key file", True),
        Key("url", "text", "address of the key file", True),
        Key("sha256", "text", "hex SHA-256 of the key file", True),
    ),
    "named": (
        Key("name", "text", "file name"),
        Key("content", "text", "PEM text"),
    ),
    "package": (
        Key("name", "text", "package with optional constraint", True),
        Key("archs", "texts", "architectures the entry is for", True),
    ),
    "baseimage": (
        Key("image", "text", "OCI layout, archive, or registry reference with digest"),
        Key("apkindex", "text", "directory of indexes that describe the packages of the base"),
    ),
    "entrypoint": (
        Key("type", "text", "`service-bundle` runs services under s6", choices=("service-bundle",)),
        Key("command", "command", "command to run, split by POSIX rules or given as a list"),
        Key("shell-fragment", "text", "text for /bin/sh -c; wins over `command`"),
        Key("services", "pairs", "service name to command line"),
    ),
    "accounts": (
        Key("run-as", "text", "user name, number, or user:group"),
        Key("users", "list:user", "users to add"),
        Key("groups", "list:group", "groups to add"),
        Key("gshadow", "boolean", "write /etc/gshadow", True),
    ),
    "user": (
        Key("username", "text", "login name"),
        Key("uid", "integer", "user number, not 0"),
        Key("gid", "integer", "primary group; the uid when absent"),
        Key("shell", "text", "login shell; /bin/sh when absent"),
        Key("homedir", "text", "home directory; /home/USERNAME when absent"),
        Key("groups", "texts", "further groups the user is a member of", True),
    ),
    "group": (
        Key("groupname", "text", "group name"),
        Key("gid", "integer", "group number"),
        Key("members", "texts", "user names"),
    ),
    "path": (
        Key("path", "text", "path in the image"),
        Key("type", "text", "what to do", choices=PATH_TYPES),
        Key("uid", "integer", "owner"),
        Key("gid", "integer", "group"),
        Key("permissions", "mode", "mode in octal (0o755); unchanged, or the default of a new node, when absent"),
        Key("source", "text", "what a link refers to"),
        Key("recursive", "boolean", "apply owner and mode to everything below"),
        Key("content", "text", "content of a `file`", True),
        Key("from", "text", "local file or directory to copy, relative to the definition", True),
        Key("sha256", "text", "hex SHA-256 the content of a `file` must have", True),
        Key("force", "boolean", "replace what is there, unless it is a directory", True),
        Key("follow", "boolean", "apply owner and mode to the target of a symbolic link", True),
        Key("xattrs", "pairs", "extended attributes, as text or base64:…", True),
        Key("if-exists", "text", "what to do when the path exists", True, ("error", "skip", "replace")),
    ),
    "include": (
        Key("path", "text", "local definition", True),
        Key("url", "text", "remote definition", True),
        Key("sha256", "text", "hex SHA-256 of the definition", True),
    ),
    "layering": (
        Key("strategy", "text", "how packages are grouped", choices=("origin", "package", "groups", "single")),
        Key("budget", "integer", "largest number of package layers"),
        Key("groups", "lists", "package names per layer, for strategy `groups`", True),
    ),
    "certificates": (
        Key("additional", "list:named", "certificates to add, one PEM certificate each"),
        Key("providers", "texts", "names; installed packages that provide one contribute their certificates"),
    ),
    "healthcheck": (
        Key("test", "command", "text for a shell, or a list for exec form", True),
        Key("interval", "text", "time between checks, for example 30s", True),
        Key("timeout", "text", "time one check may take", True),
        Key("start-period", "text", "time to start up", True),
        Key("start-interval", "text", "time between checks during start-up", True),
        Key("retries", "integer", "failures in a row that make it unhealthy", True),
    ),
    "sbom": (
        Key("formats", "texts", "documents to write", True, ("spdx", "cyclonedx")),
        Key("namespace", "text", "base URI of document names", True),
        Key("supplier", "text", "who supplies the image", True),
        Key("creators", "texts", "who made the documents", True),
    ),
}
"""Section name to its keys, in the order they are shown; the empty name is the whole definition."""

PEER_ONLY_CHOICES = {("layering", "strategy"): ("origin",), ("path", "type"): PEER_PATH_TYPES}
"""Choices under `--strict-apko` where they are fewer, by section and key."""


def names(section: str) -> tuple[str, ...]:
    """All key names of a section, in order."""
    return tuple(key.name for key in SECTIONS[section])


def peer_names(section: str) -> tuple[str, ...]:
    """The key names that apko knows."""
    return tuple(key.name for key in SECTIONS[section] if not key.extension)


def choices(section: str, name: str) -> tuple[str, ...]:
    """The texts a key allows."""
    return next(key.choices for key in SECTIONS[section] if key.name == name)
