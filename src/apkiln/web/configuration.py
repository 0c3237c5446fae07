"""The configuration file of the service, read into one value; relative places are relative to the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from apkiln.core.errors import ConfigurationError
from apkiln.core.origin import Origin
from apkiln.web.expecting import ExpectConfiguration
from apkiln.web.oidc import Issuer
from apkiln.web.tokens import Token
from apkiln.web.webhooks import Webhook


class RepositoryConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[repository]]`."""

    name: str
    arches: tuple[str, ...] = ("x86_64",)
    keep: int = 3
    keys: tuple[str, ...] = ()
    """Key files (private where there is no signer process) that a new repository begins with."""
    private: bool = False
    sign_packages: bool = True
    two_persons: bool = True
    lifetime_days: int = 7


class PolicyConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[policy]]`: a program (see `repository.examining.ProgramExaminer`)."""

    name: str
    command: tuple[str, ...]
    timeout: int = 60


class RuleConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[rules]`: built-in policies."""

    denied_licenses: tuple[str, ...] = ()
    largest_growth: float = 0.0


class ViewConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[view]]`: a repository without what a policy keeps back, under a name of its own."""

    name: str
    repository: str
    denied_licenses: tuple[str, ...] = ()
    minimum_age_days: int = 0
    blocked: str = ""
    """A file of rules, read anew when it changes (see `repository.filtering.parse_block_list`)."""


class BucketConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[bucket]`: blobs in an S3 bucket; the credentials are in two files."""

    name: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key_file: str = ""
    secret_key_file: str = ""


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    repository: tuple[RepositoryConfiguration, ...]
    database: str = "sqlite:///ledger.db"
    blobs: str = "blobs"
    """A directory; not used with a bucket."""
    bucket: BucketConfiguration | None = None
    uploads: str = "uploads"
    """Where parts of uploads wait."""
    listen: str = "127.0.0.1:8080"
    public_url: str = ""
    """What clients ask, for reading back; empty = this server itself."""
    signer: str = ""
    """Socket of the signer process; empty = the private key files of the repositories."""
    token: tuple[Token, ...] = ()
    issuer: tuple[Issuer, ...] = ()
    policy: tuple[PolicyConfiguration, ...] = ()
    rules: RuleConfiguration = RuleConfiguration()
    webhook: tuple[Webhook, ...] = ()
    webhooks: str = "webhooks"
    """Where it is kept how far each has been told."""
    expect: ExpectConfiguration = ExpectConfiguration()
    reconcile_seconds: int = 60
    view: tuple[ViewConfiguration, ...] = ()


def parse_configuration(table: dict[str, Any], source: str) -> Configuration:
    """The values of a TOML document.  ConfigurationError `bad-service-configuration`, `repository-name`."""
    try:
        found = msgspec.convert(table, Configuration)
    except msgspec.ValidationError as error:
        raise _bad(str(error), source) from error
    repositories = [item.name for item in found.repository]
    names = [*repositories, *(item.name for item in found.view)]
    for name in names:
        parts = name.split("/")
        good = all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts)
        if not good or names.count(name) > 1 or {"api", "keys", "candidate"} & set(parts):
            raise _bad(f"{name!r} cannot name a repository, or names two", source)
    for view in found.view:
        if view.repository not in repositories:
            raise _bad(f"view `{view.name}` is one of `{view.repository}`, which is no repository", source)
    _check_tokens(found, source)
    hooks = [hook.name for hook in found.webhook]
    if any(not name.replace("-", "").isalnum() or hooks.count(name) > 1 for name in hooks):
        raise _bad("a webhook needs a name of its own, of letters, digits and hyphens", source)
    return found


def _check_tokens(configuration: Configuration, source: str) -> None:
    """A token has a secret or a subject; a shared name would make one person of two (spec §9 "two persons")."""
    issuers = {issuer.url for issuer in configuration.issuer}
    if len(issuers) != len(configuration.issuer):
        raise _bad("an issuer is named twice", source)
    for issuer in configuration.issuer:
        if not issuer.audience or not issuer.url or not issuer.algorithms or issuer.jwks.startswith("http://"):
            raise _bad(f"issuer {issuer.url!r} needs a url, an audience, algorithms, and keys from a file or over https", source)
    names = [token.name for token in configuration.token]
    for token in configuration.token:
        if names.count(token.name) > 1 or not token.name:
            raise _bad(f"{token.name!r} names two tokens, or none", source)
        by_secret = re.fullmatch(r"[0-9a-f]{64}", token.sha256) is not None and not token.subject
        by_subject = bool(token.subject) and not token.sha256 and token.issuer in issuers
        if not by_secret and not by_subject:
            message = f"token `{token.name}` needs `sha256` (64 hex digits), or `subject` and an `issuer` that is configured"
            raise _bad(message, source)


def _bad(message: str, source: str) -> ConfigurationError:
    return ConfigurationError(message, reason="bad-service-configuration", origin=Origin(source=source))


def database_url(configuration: Configuration, home: Path) -> str:
    """With a relative SQLite path made absolute."""
    kind, _, path = configuration.database.partition(":///")
    if kind != "sqlite" or path.startswith("/"):
        return configuration.database
    return f"sqlite:///{home / path}"
