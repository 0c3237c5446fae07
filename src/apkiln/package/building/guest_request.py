"""What the root of a build or test is made of, as an image definition (spec package.md §4.8, §4.10).  Pure."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.arch import Arch
from apkiln.core.errors import ConfigurationError
from apkiln.core.value import value
from apkiln.image.configuration.model import (
    Accounts,
    Contents,
    Group,
    ImageConfiguration,
    KeyringEntry,
    PackageRequest,
    RepositoryEntry,
    User,
)
from apkiln.package.definition.model import Environment


@value
class GuestSources:
    """Where packages of roots come from beside what the definition says."""

    repositories: tuple[str, ...] = ()
    """After the definition's own, as on the command line."""
    keys: tuple[str, ...] = ()
    """Paths or URLs."""
    ignore_signatures: bool = False


NO_SOURCES = GuestSources()


@value
class Identity:
    """Who runs steps."""

    user: int = 0
    group: int = 0


def guest_configuration(environment: Environment, sources: GuestSources, arch: Arch) -> ImageConfiguration:
    """The image whose tree is the root: packages, repositories and accounts of a resolved environment."""
    contents = environment.contents
    repositories = (*contents.build_repositories, *contents.repositories)
    texts = dict.fromkeys((*(item.text for item in repositories), *sources.repositories))
    keys = dict.fromkeys((*(item.text for item in contents.keyring), *sources.keys))
    return ImageConfiguration(
        contents=Contents(
            repositories=tuple(RepositoryEntry(text.rstrip("/")) for text in texts),
            keyring=tuple(KeyringEntry(text) for text in keys),
            packages=tuple(PackageRequest(item.text, (), item.origin) for item in contents.packages),
        ),
        accounts=accounts_of(environment),
        archs=(arch.apk,),
    )


def accounts_of(environment: Environment) -> Accounts:
    """The users and groups of an environment in the image's form."""
    accounts = environment.accounts
    users = tuple(User(user.username, user.uid, user.gid, user.shell, user.homedir, (), user.origin) for user in accounts.users)
    groups = tuple(Group(group.groupname, group.gid, group.members, group.origin) for group in accounts.groups)
    return Accounts("", users, groups)


def identity_of(environment: Environment) -> Identity:
    """The numbers that `run-as` stands for; empty = root.  Raises ConfigurationError `unknown-user`."""
    run_as = environment.accounts.run_as
    if run_as in ("", "root", "0"):
        return Identity()
    users = environment.accounts.users
    if run_as.isdecimal():
        number = int(run_as)
        return _identity(number, (user.gid for user in users if user.uid == number))
    for user in users:
        if user.username == run_as:
            return _identity(user.uid, (user.gid,))
    known = ", ".join(f"`{user.username}`" for user in users) or "none"
    message = f"`run-as` names the user `{run_as}`, which `accounts` does not declare"
    raise ConfigurationError(message, reason="unknown-user", hint=f"declared: {known}")


def _identity(user: int, groups: Iterable[int | None]) -> Identity:
    """The first group that is known; a user without one has that of its own number."""
    return Identity(user, next((group for group in groups if group is not None), user))
