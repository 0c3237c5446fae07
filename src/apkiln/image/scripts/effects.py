"""What a script does to an image, as values, and what is said about each script."""

from __future__ import annotations

from enum import Enum

from apkiln.core.named_tuple import NamedTuple


class AddGroup(NamedTuple):
    """A group, unless one of its name exists."""

    name: str
    gid: int | None = None
    system: bool = False
    """A number below 1000."""
    downwards: bool = False
    """Numbers are taken from 999 downwards (`groupadd`, sysusers), not from 100 upwards (`addgroup`)."""


class AddUser(NamedTuple):
    """A user, unless one of its name exists."""

    name: str
    uid: int | None = None
    group: str = ""
    """Primary group; empty = `own_group`, or `nogroup`."""
    own_group: bool = True
    """Without `group`: a group of the same name and number."""
    gecos: str = ""
    home: str = ""
    shell: str = ""
    system: bool = False
    downwards: bool = False
    gid: int | None = None
    """Number of the own group, where it differs from the uid."""


class AddMember(NamedTuple):
    """A user among the members of a group."""

    user: str
    group: str


class MakeDirectory(NamedTuple):
    """A directory and its parents; one that exists keeps its mode unless `mode` is given."""

    path: str
    mode: int | None = None
    owner: str = ""
    """`user:group`, either part may be empty; names or numbers."""


class ChangeOwner(NamedTuple):
    """`chown`, `chgrp`."""

    path: str
    owner: str
    recursive: bool = False


class ChangeMode(NamedTuple):
    """`chmod` with an octal mode."""

    path: str
    mode: int
    recursive: bool = False


class MakeLink(NamedTuple):
    """`ln -s`; `force` replaces what is there, unless it is a directory."""

    path: str
    target: str
    force: bool = False


class Built(Enum):
    """What a rule of its own makes, whether a script asks for it once or often; the value names the rule."""

    BUSYBOX_LINKS = "busybox-links"
    LIBRARY_CACHE = "library-cache"
    CERTIFICATE_BUNDLE = "certificate-bundle"
    SYSTEM_USERS = "sysusers"
    TEMPORARY_FILES = "tmpfiles"


class EnableUnits(NamedTuple):
    """`systemctl preset UNIT…` (as presets say), or `systemctl enable UNIT…` (in any case); no units = all."""

    units: tuple[str, ...] = ()
    as_preset: bool = True


Effect = AddGroup | AddUser | AddMember | MakeDirectory | ChangeOwner | ChangeMode | MakeLink | EnableUnits | Built


class State(Enum):
    """What became of a script."""

    REPLACED = "replaced"
    """Rules did all of it."""
    HARMLESS = "harmless"
    """It would change nothing in an image."""
    NOT_COVERED = "not covered"
    """It would do something that nobody did."""
    RAN = "run in the sandbox"
    """It did what it does, in a sandbox."""


class ScriptReport(NamedTuple):
    """One script or trigger that an installation would have run."""

    package: str
    """`name-version`."""
    kind: str
    sha256: str
    """Hex, of its text."""
    state: State
    why: str = ""
    """For `not covered` what stands against it; for `replaced` what was done, in short."""
    line: int = 0
    """Of the script; 0 = none in particular."""

    def __str__(self) -> str:
        place = f" (line {self.line})" if self.line else ""
        said = f": {self.why}{place}" if self.why else ""
        return f"the {self.kind} script of {self.package} is {self.state.value}{said}"
