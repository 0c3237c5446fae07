"""The package definition as a value, one class per section of the file (spec package.md §3).

The type of a field says whether variables are replaced in it: `Text`, `Prose` and `Condition` take part, `str` and `Verbatim`
are kept as written.  Mappings are pairs sorted by key, so that no result depends on the order they were written in.
"""

from __future__ import annotations

from typing import TypeAlias

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.yamlnode.reader import Text

NOWHERE = Origin()
NO_TEXT = Text("", NOWHERE)

Pairs: TypeAlias = tuple[tuple[str, Text], ...]
"""A mapping as pairs sorted by key."""


class Verbatim(NamedTuple):
    """A text in which nothing is replaced, and where it stands."""

    text: str
    origin: Origin


class Condition(NamedTuple):
    """An `if` expression: values are put in as quoted texts.  Empty = true."""

    text: str
    origin: Origin


class Prose(NamedTuple):
    """A text for people.  Values are put in; what looks like a reference and is none stays, with a remark."""

    text: str
    origin: Origin


NO_PROSE = Prose("", NOWHERE)
NO_VERBATIM = Verbatim("", NOWHERE)
NO_CONDITION = Condition("", NOWHERE)


class Copyright(NamedTuple):
    """One licence of the package."""

    license: Text
    paths: tuple[Text, ...] = ()
    attestation: str = ""
    license_path: Text = NO_TEXT
    """Licence text, relative to the workspace."""
    detection_override: str = ""
    origin: Origin = NOWHERE


class Dependencies(NamedTuple):
    """Declared relations to other packages, each in apk's syntax."""

    runtime: tuple[Text, ...] = ()
    provides: tuple[Text, ...] = ()
    replaces: tuple[Text, ...] = ()
    provider_priority: Text = NO_TEXT
    """Empty = not set; else a whole number."""
    replaces_priority: Text = NO_TEXT


class PackageOptions(NamedTuple):
    """What analysis leaves out."""

    no_provides: bool = False
    no_depends: bool = False
    no_commands: bool = False
    no_versioned_shlib_deps: bool = False


class Trigger(NamedTuple):
    """A script that runs when watched directories change."""

    script: Text = NO_TEXT
    paths: tuple[Text, ...] = ()


class Scriptlets(NamedTuple):
    """Whole scripts with their first line; empty = none."""

    trigger: Trigger = Trigger()
    pre_install: Text = NO_TEXT
    post_install: Text = NO_TEXT
    pre_deinstall: Text = NO_TEXT
    post_deinstall: Text = NO_TEXT
    pre_upgrade: Text = NO_TEXT
    post_upgrade: Text = NO_TEXT


class Checks(NamedTuple):
    """Names of checks that only warn."""

    disabled: tuple[str, ...] = ()


class Cpe(NamedTuple):
    """The product's name in vulnerability databases; empty fields are unset."""

    part: str = ""
    vendor: str = ""
    product: str = ""
    edition: str = ""
    language: str = ""
    sw_edition: str = ""
    target_sw: str = ""
    target_hw: str = ""
    other: str = ""


class Setcap(NamedTuple):
    """Capabilities of one file."""

    path: str
    add: tuple[tuple[str, str], ...]
    """Names separated by commas → flags."""
    reason: str
    origin: Origin = NOWHERE


class Resources(NamedTuple):
    """What a build or test asks for; empty = nothing said."""

    cpu: Text = NO_TEXT
    cpumodel: Text = NO_TEXT
    memory: Text = NO_TEXT
    disk: Text = NO_TEXT


class Package(NamedTuple):
    """The main package."""

    name: Text
    version: Text
    epoch: int = 0
    description: Prose = NO_PROSE
    url: Text = NO_TEXT
    commit: Text = NO_TEXT
    annotations: Pairs = ()
    target_architecture: tuple[Text, ...] = ()
    copyright: tuple[Copyright, ...] = ()
    dependencies: Dependencies = Dependencies()
    options: PackageOptions = PackageOptions()
    scriptlets: Scriptlets = Scriptlets()
    checks: Checks = Checks()
    cpe: Cpe = Cpe()
    setcap: tuple[Setcap, ...] = ()
    timeout: str = ""
    """Go duration; empty = none."""
    resources: Resources = Resources()
    test_resources: Resources = Resources()
    origin: Origin = NOWHERE

    @property
    def full_version(self) -> str:
        return f"{self.version.text}-r{self.epoch}"


class User(NamedTuple):
    """A user of the build environment."""

    username: str
    uid: int = 0
    gid: int | None = None
    shell: str = ""
    homedir: str = ""
    origin: Origin = NOWHERE


class Group(NamedTuple):
    """A group of the build environment."""

    groupname: str
    gid: int = 0
    members: tuple[str, ...] = ()
    origin: Origin = NOWHERE


class Accounts(NamedTuple):
    """Users and groups to add, and whom steps run as."""

    run_as: str = ""
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()


class Contents(NamedTuple):
    """Packages and where they come from."""

    repositories: tuple[Text, ...] = ()
    build_repositories: tuple[Text, ...] = ()
    runtime_repositories: tuple[Text, ...] = ()
    keyring: tuple[Text, ...] = ()
    packages: tuple[Text, ...] = ()


class Environment(NamedTuple):
    """The root a build or test runs in."""

    contents: Contents = Contents()
    environment: Pairs = ()
    accounts: Accounts = Accounts()


class Capabilities(NamedTuple):
    """Linux capabilities beside, or taken from, the default ones."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class Input(NamedTuple):
    """An input that a named pipeline declares."""

    name: str
    description: str = ""
    default: Text = NO_TEXT
    required: bool = False
    origin: Origin = NOWHERE


class Prefetch(NamedTuple):
    """Dependencies that are downloaded before the step, as a lock file names them."""

    kind: str
    lock: Text
    root: Text


class Step(NamedTuple):
    """One step of a pipeline: its own script, then the steps inside."""

    condition: Condition = NO_CONDITION
    name: Prose = NO_PROSE
    label: str = ""
    uses: Verbatim = NO_VERBATIM
    inputs_given: Pairs = ()
    """`with`."""
    runs: Text = NO_TEXT
    pipeline: tuple[Step, ...] = ()
    inputs: tuple[Input, ...] = ()
    needs: tuple[Text, ...] = ()
    required_steps: int | None = None
    working_directory: Text = NO_TEXT
    environment: Pairs = ()
    network: bool = False
    prefetch: tuple[Prefetch, ...] = ()
    origin: Origin = NOWHERE

    @property
    def identity(self) -> str:
        """How logs call the step."""
        return self.name.text or self.uses.text or "???"


class PackageTest(NamedTuple):
    """How a package is tested."""

    environment: Environment = Environment()
    pipeline: tuple[Step, ...] = ()
    origin: Origin = NOWHERE


class Subpackage(NamedTuple):
    """A package cut from the same build; what it does not say comes from the main package."""

    name: Text
    condition: Condition = NO_CONDITION
    range: Verbatim = NO_VERBATIM
    pipeline: tuple[Step, ...] = ()
    dependencies: Dependencies = Dependencies()
    options: PackageOptions = PackageOptions()
    scriptlets: Scriptlets = Scriptlets()
    description: Prose = NO_PROSE
    annotations: Pairs = ()
    url: Text = NO_TEXT
    commit: Text = NO_TEXT
    checks: Checks = Checks()
    test: PackageTest | None = None
    setcap: tuple[Setcap, ...] = ()
    origin: Origin = NOWHERE


class Data(NamedTuple):
    """Items for `range`, sorted by key."""

    name: str
    items: Pairs
    origin: Origin = NOWHERE


class VarTransform(NamedTuple):
    """A variable made from another text."""

    source: Verbatim
    """`from`; variables in it are replaced when the transform is evaluated, the field itself is shown as written."""
    match: Verbatim
    replace: Verbatim
    to: Verbatim


class BuildOption(NamedTuple):
    """A variant: variables and packages that change."""

    name: str
    variables: tuple[tuple[str, Verbatim], ...] = ()
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class VersionTransform(NamedTuple):
    """How a found version is rewritten."""

    match: Text
    replace: Text


class Schedule(NamedTuple):
    """How often to look for new versions."""

    period: str
    reason: Prose = NO_PROSE


class Monitor(NamedTuple):
    """Where versions are found."""

    kind: str
    """One of `keys.MONITORS`."""
    identifier: Text = NO_TEXT
    strip_prefix: Text = NO_TEXT
    strip_suffix: Text = NO_TEXT
    filter: Text = NO_TEXT
    """`tag-filter`, deprecated."""
    filter_prefix: Text = NO_TEXT
    filter_contains: Text = NO_TEXT
    use_tag: bool = False
    origin: Origin = NOWHERE


class VersionSource(NamedTuple):
    """One feed of versions."""

    name: Text = NO_TEXT
    stream: Text = NO_TEXT
    ignore: tuple[Text, ...] = ()
    commit_source: Text = NO_TEXT
    use_release: bool = False


class VersionData(NamedTuple):
    """Feeds of versions."""

    version_format: Text = NO_TEXT
    sources: tuple[VersionSource, ...] = ()


class Update(NamedTuple):
    """Where new versions are found and what to do about them.  No effect on builds."""

    enabled: bool = False
    manual: bool = False
    require_sequential: bool = False
    shared: bool = False
    enable_prerelease_tags: bool = False
    version_separator: Text = NO_TEXT
    ignore_regex_patterns: tuple[Text, ...] = ()
    version_transform: tuple[VersionTransform, ...] = ()
    exclude_reason: Prose = NO_PROSE
    schedule: Schedule | None = None
    monitors: tuple[Monitor, ...] = ()
    version_data: VersionData | None = None


class PackageDefinition(NamedTuple):
    """A whole definition.  Evaluated or compiled ones have the same form with less left to replace."""

    package: Package
    environment: Environment = Environment()
    capabilities: Capabilities = Capabilities()
    pipeline: tuple[Step, ...] = ()
    subpackages: tuple[Subpackage, ...] = ()
    data: tuple[Data, ...] = ()
    update: Update | None = None
    variables: tuple[tuple[str, Verbatim], ...] = ()
    var_transforms: tuple[VarTransform, ...] = ()
    options: tuple[BuildOption, ...] = ()
    test: PackageTest | None = None
