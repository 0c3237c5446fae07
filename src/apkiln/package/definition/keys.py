"""Every key of a package definition: the one table behind the reader and the published JSON schema (spec package.md §3)."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple


class Key(NamedTuple):
    """One key of a section."""

    name: str
    kind: str
    """`text` `boolean` `integer` `duration` `texts` `pairs`, `section:NAME`, `list:NAME` (of sections), `map:NAME` (free keys to
    sections), `inputs` (free keys to a text or a list of texts) or `ignored` (accepted, without effect)."""
    help: str
    extension: bool = False
    """Not known to melange."""
    choices: tuple[str, ...] = ()
    """The texts allowed; empty = any."""


_RESOURCES = (
    Key("cpu", "text", "processors"),
    Key("cpumodel", "text", "processor model, for virtual machines"),
    Key("memory", "text", "memory, for example 4Gi"),
    Key("disk", "text", "disk space, for example 50Gi"),
)
_STEP = (
    Key("if", "text", "condition; the step is left out when it is false"),
    Key("name", "text", "name for people"),
    Key("label", "text", "further name for people"),
    Key("uses", "text", "named pipeline to run"),
    Key("with", "inputs", "inputs of the named pipeline"),
    Key("runs", "text", "shell fragment"),
    Key("pipeline", "list:step", "steps to run afterwards"),
    Key("inputs", "map:input", "inputs that a named pipeline takes"),
    Key("needs", "section:needs", "packages the step needs"),
    Key("assertions", "section:assertions", "what must hold after the step"),
    Key("working-directory", "text", "directory of the step, relative to /home/build"),
    Key("environment", "pairs", "environment variables of the step and what it contains"),
    Key("network", "boolean", "the step may use the network", True),
    Key("prefetch", "list:prefetch", "dependencies to download before the step, by lock file", True),
)
_FILTERS = (
    Key("strip-prefix", "text", "text to remove from the front of a tag"),
    Key("strip-suffix", "text", "text to remove from the end of a tag"),
    Key("tag-filter-prefix", "text", "how a tag must begin"),
    Key("tag-filter-contains", "text", "what a tag must contain"),
)
_IMAGE_KEYS_WITHOUT_EFFECT = (
    "entrypoint",
    "cmd",
    "stop-signal",
    "work-dir",
    "archs",
    "paths",
    "vcs-url",
    "annotations",
    "include",
    "volumes",
    "layering",
    "format",
    "certificates",
)

SECTIONS: dict[str, tuple[Key, ...]] = {
    "": (
        Key("package", "section:package", "the package itself"),
        Key("environment", "section:environment", "where the package is built"),
        Key("capabilities", "section:capabilities", "Linux capabilities of build and test"),
        Key("pipeline", "list:step", "steps that build the package"),
        Key("subpackages", "list:subpackage", "further packages cut from the same build"),
        Key("data", "list:data", "items for `range`"),
        Key("update", "section:update", "where new versions are found"),
        Key("vars", "pairs", "variables, used as ${{vars.NAME}}"),
        Key("var-transforms", "list:var-transform", "variables made from other ones by regular expressions"),
        Key("options", "map:build-option", "variants, chosen with --build-option"),
        Key("test", "section:test", "how the package is tested"),
    ),
    "package": (
        Key("name", "text", "package name"),
        Key("version", "text", "upstream version"),
        Key("epoch", "integer", "number of the build of this version"),
        Key("description", "text", "one line about the package"),
        Key("url", "text", "home page"),
        Key("commit", "text", "commit of the definition"),
        Key("annotations", "pairs", "free notes for tools"),
        Key("target-architecture", "texts", "architectures to build for; all when absent"),
        Key("copyright", "list:copyright", "licences and who holds the rights"),
        Key("dependencies", "section:dependencies", "what the package needs and offers"),
        Key("options", "section:package-options", "what analysis leaves out"),
        Key("scriptlets", "section:scriptlets", "scripts that run when the package is installed or removed"),
        Key("checks", "section:checks", "which checks do not fail the build"),
        Key("cpe", "section:cpe", "name of the product in vulnerability databases"),
        Key("setcap", "list:setcap", "capabilities of files"),
        Key("timeout", "duration", "longest time of a build, for example 1h30m"),
        Key("resources", "section:resources", "what a build needs"),
        Key("test-resources", "section:test-resources", "what a test needs; `resources` when absent"),
    ),
    "copyright": (
        Key("license", "text", "SPDX licence expression"),
        Key("paths", "texts", "files it applies to"),
        Key("attestation", "text", "who holds the rights"),
        Key("license-path", "text", "licence text, in the sources"),
        Key("detection-override", "text", "licence that detection finds for this one"),
    ),
    "dependencies": (
        Key("runtime", "texts", "what must be installed beside it"),
        Key("provides", "texts", "further names it can be asked for by"),
        Key("replaces", "texts", "packages whose files it may take over"),
        Key("provider-priority", "text", "which provider wins: a whole number"),
        Key("replaces-priority", "text", "which package owns a file: a whole number"),
    ),
    "package-options": (
        Key("no-provides", "boolean", "find no provided names"),
        Key("no-depends", "boolean", "find no dependencies"),
        Key("no-commands", "boolean", "provide no commands"),
        Key("no-versioned-shlib-deps", "boolean", "depend on libraries without their version"),
    ),
    "scriptlets": (
        Key("trigger", "section:trigger", "script that runs when watched directories change"),
        Key("pre-install", "text", "script before installation"),
        Key("post-install", "text", "script after installation"),
        Key("pre-deinstall", "text", "script before removal"),
        Key("post-deinstall", "text", "script after removal"),
        Key("pre-upgrade", "text", "script before an upgrade"),
        Key("post-upgrade", "text", "script after an upgrade"),
    ),
    "trigger": (Key("script", "text", "the script"), Key("paths", "texts", "directories to watch")),
    "checks": (Key("disabled", "texts", "checks that only warn"),),
    "cpe": (
        Key("part", "text", "kind of product", choices=("a", "o")),
        Key("vendor", "text", "who makes it"),
        Key("product", "text", "its name"),
        Key("edition", "text", "edition"),
        Key("language", "text", "language"),
        Key("sw_edition", "text", "software edition"),
        Key("target_sw", "text", "software it is for"),
        Key("target_hw", "text", "hardware it is for"),
        Key("other", "text", "anything else"),
        Key("sw-edition", "text", "the same as sw_edition"),
        Key("target-sw", "text", "the same as target_sw"),
        Key("target-hw", "text", "the same as target_hw"),
    ),
    "setcap": (
        Key("path", "text", "file in the package"),
        Key("add", "pairs", "capability names, separated by commas, to flags such as +ep"),
        Key("reason", "text", "why the file needs them"),
    ),
    "resources": _RESOURCES,
    "test-resources": _RESOURCES,
    "environment": (
        Key("contents", "section:contents", "packages and where they come from"),
        Key("environment", "pairs", "environment variables of every step"),
        Key("accounts", "section:accounts", "users and groups, and the user that steps run as"),
        *(Key(name, "ignored", "accepted as in image definitions; without effect here") for name in _IMAGE_KEYS_WITHOUT_EFFECT),
    ),
    "contents": (
        Key("repositories", "texts", "package repositories"),
        Key("build_repositories", "texts", "package repositories"),
        Key("runtime_repositories", "texts", "package repositories"),
        Key("keyring", "texts", "public keys to trust"),
        Key("packages", "texts", "packages to install"),
        Key("baseimage", "ignored", "accepted as in image definitions; without effect here"),
        Key("runtime_keyring", "ignored", "accepted as in image definitions; without effect here"),
    ),
    "accounts": (
        Key("run-as", "text", "user name or number that steps run as"),
        Key("users", "list:user", "users to add"),
        Key("groups", "list:group", "groups to add"),
    ),
    "user": (
        Key("username", "text", "login name"),
        Key("uid", "integer", "user number"),
        Key("gid", "integer", "primary group; the uid when absent"),
        Key("shell", "text", "login shell"),
        Key("homedir", "text", "home directory"),
    ),
    "group": (
        Key("groupname", "text", "group name"),
        Key("gid", "integer", "group number"),
        Key("members", "texts", "user names"),
    ),
    "capabilities": (
        Key("add", "texts", "capabilities beside the default ones, for example CAP_NET_ADMIN"),
        Key("drop", "texts", "default capabilities to take away"),
    ),
    "step": _STEP,
    "pipeline-file": (*_STEP, Key("description", "text", "what the pipeline does")),
    "input": (
        Key("description", "text", "what the input is for"),
        Key("default", "text", "value when none is given"),
        Key("required", "boolean", "a value must be given"),
    ),
    "needs": (Key("packages", "texts", "packages"),),
    "assertions": (Key("required-steps", "integer", "number of steps inside that must have run"),),
    "prefetch": (
        Key("kind", "text", "ecosystem", True, ("go", "cargo", "npm", "pip", "maven", "gem", "composer")),
        Key("lock", "text", "lock file that names what to download", True),
        Key("root", "text", "directory of the project", True),
    ),
    "subpackage": (
        Key("if", "text", "condition; the package is left out when it is false"),
        Key("range", "text", "`data` block; one package per item"),
        Key("name", "text", "package name"),
        Key("pipeline", "list:step", "steps that fill the package"),
        Key("dependencies", "section:dependencies", "what the package needs and offers"),
        Key("options", "section:package-options", "what analysis leaves out"),
        Key("scriptlets", "section:scriptlets", "scripts that run when the package is installed or removed"),
        Key("description", "text", "one line about the package"),
        Key("annotations", "pairs", "free notes for tools"),
        Key("url", "text", "home page"),
        Key("commit", "text", "commit of the definition"),
        Key("checks", "section:checks", "which checks do not fail the build"),
        Key("test", "section:test", "how the package is tested"),
        Key("setcap", "list:setcap", "capabilities of files"),
    ),
    "test": (
        Key("environment", "section:environment", "where the test runs"),
        Key("pipeline", "list:step", "steps of the test"),
    ),
    "data": (
        Key("name", "text", "name for `range`"),
        Key("items", "pairs", "key and value of each item"),
    ),
    "var-transform": (
        Key("from", "text", "text to start from"),
        Key("match", "text", "regular expression (RE2)"),
        Key("replace", "text", "what each match becomes; $1, ${1} and ${name} are groups"),
        Key("to", "text", "variable to set"),
    ),
    "build-option": (
        Key("vars", "pairs", "variables that change"),
        Key("environment", "section:option-environment", "packages that change"),
    ),
    "option-environment": (Key("contents", "section:option-contents", "packages that change"),),
    "option-contents": (Key("packages", "section:option-packages", "packages that change"),),
    "option-packages": (
        Key("add", "texts", "packages to add to the build environment"),
        Key("remove", "texts", "packages to take out of the build environment"),
    ),
    "update": (
        Key("enabled", "boolean", "look for new versions"),
        Key("manual", "boolean", "a person must look at an update"),
        Key("require-sequential", "boolean", "take no version before the one in between"),
        Key("shared", "boolean", "what depends on it must be built anew"),
        Key("enable-prerelease-tags", "boolean", "take pre-releases too"),
        Key("version-separator", "text", "what upstream writes instead of `.`"),
        Key("ignore-regex-patterns", "texts", "versions to pass over"),
        Key("version-transform", "list:version-transform", "how a found version is rewritten"),
        Key("exclude-reason", "text", "why updates are off"),
        Key("schedule", "section:schedule", "how often to look"),
        Key("github", "section:github", "look at releases or tags on GitHub"),
        Key("release-monitor", "section:release-monitor", "look at release-monitoring.org"),
        Key("git", "section:git", "look at the tags of the first git-checkout"),
        Key("oci", "section:oci", "look at the tags of an image repository"),
        Key("version_data", "section:version-data", "look at version feeds"),
    ),
    "version-transform": (
        Key("match", "text", "regular expression (RE2)"),
        Key("replace", "text", "what each match becomes"),
    ),
    "schedule": (
        Key("period", "text", "how often", choices=("daily", "weekly", "monthly")),
        Key("reason", "text", "why"),
    ),
    "github": (
        Key("identifier", "text", "owner/repository"),
        *_FILTERS,
        Key("tag-filter", "text", "older spelling of tag-filter-prefix"),
        Key("use-tag", "boolean", "tags instead of releases"),
    ),
    "release-monitor": (
        Key("identifier", "integer", "project number"),
        Key("strip-prefix", "text", "text to remove from the front of a version"),
        Key("strip-suffix", "text", "text to remove from the end of a version"),
        Key("version-filter-contains", "text", "what a version must contain"),
        Key("version-filter-prefix", "text", "how a version must begin"),
    ),
    "git": _FILTERS,
    "oci": (Key("identifier", "text", "image repository"), *_FILTERS),
    "version-data": (
        Key("version_format", "text", "form of the versions"),
        Key("sources", "list:version-source", "feeds"),
    ),
    "version-source": (
        Key("name", "text", "feed"),
        Key("stream", "text", "line of versions"),
        Key("ignore", "texts", "versions to pass over"),
        Key("commit_source", "text", "where commits are found"),
        Key("use_release", "boolean", "releases instead of tags"),
    ),
}
"""Section name to its keys, in the order they are shown; the empty name is the whole definition."""

MONITORS = ("github", "release-monitor", "git", "oci")
"""Sections of `update` that say where versions are found, beside `version_data`."""

_NAMES = {section: tuple(key.name for key in keys) for section, keys in SECTIONS.items()}


def names(section: str) -> tuple[str, ...]:
    """All key names of a section, in order."""
    return _NAMES[section]


def choices(section: str, name: str) -> tuple[str, ...]:
    """The texts a key allows."""
    return next(key.choices for key in SECTIONS[section] if key.name == name)
