"""Repositories of registries: which host, which name there, and how its API is addressed (supply-chain.md §7.2)."""

from __future__ import annotations

from apkiln.core.errors import UsageError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.oci.reference import Reference

DOCKER_HUB = "docker.io"
_DOCKER_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})


class RepositoryName(NamedTuple):
    """A repository."""

    host: str
    """Registry with its port if one was written, lower case; Docker Hub is `docker.io`."""
    path: str
    """Name of the repository in the registry."""

    @property
    def api_host(self) -> str:
        """Whom requests are sent to."""
        return "registry-1.docker.io" if self.host == DOCKER_HUB else self.host

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


def repository_of(reference: Reference) -> RepositoryName:
    """The repository of a reference: the first component is a host if it is `localhost` or holds `.` or `:`.

    Otherwise the registry is Docker Hub, where a name of one component belongs to `library`.  Raises UsageError
    `bad-reference` for a host that stands alone.
    """
    first, slash, rest = reference.name.partition("/")
    has_host = bool(slash) and (first == "localhost" or bool(set(first) & set(".:")))
    host, path = (normal_host(first), rest) if has_host else (DOCKER_HUB, reference.name)
    if not path or path != path.lower() or (not has_host and set(path) & set(":[")):
        hint = "write `registry.example.com/name:tag`"
        raise UsageError(f"`{reference}` names no repository", reason="bad-reference", hint=hint)
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return RepositoryName(host, path)


def normal_host(host: str) -> str:
    """Lower case; every name of Docker Hub becomes `docker.io`."""
    lower = host.lower()
    return DOCKER_HUB if lower in _DOCKER_HUB_NAMES else lower
