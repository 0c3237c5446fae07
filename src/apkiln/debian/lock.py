"""The import lock and the ledger as files: what was imported from what, and every choice (spec debian.md §2, §4.4)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from apkiln.core import canonical_json
from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.debian.accounts import AccountNumber
from apkiln.debian.closure import Choice
from apkiln.debian.ledger import LedgerRow
from apkiln.debian.maintainer.steps import Step
from apkiln.debian.maintainer.translating import ScriptReport
from apkiln.debian.mapping import MappedPackage
from apkiln.debian.pruning import RULES_VERSION, PruneDecision
from apkiln.debian.snapshot import SuiteList

VERSION = 1
LEDGER = "versions.jsonl"
"""Name of the file that holds the ledger of a repository."""
_LISTS = ("depends", "provides", "replaces", "comments", "install_if")
_LEDGER_FIELDS = ("name", "version", "kind", "label", "revision", "lead")


@dataclass(frozen=True, slots=True)
class ImportedPackage:
    """One converted package."""

    name: str
    version: str
    """apk version."""
    arch: str
    sha256: str
    """Of the `.apk`, unsigned, 64 hex digits."""
    size: int
    identity: str
    """SHA-1 of the control member, 40 hex digits: signing does not change it."""
    deb_version: str
    """Empty for the generated layout."""
    deb_sha256: str
    source: str
    source_version: str
    scripts: tuple[ScriptReport, ...]
    """Maintainer scripts and what became of each."""
    steps: tuple[Step, ...]
    """What they and the package's declarations do."""
    privileged: tuple[str, ...]
    """Paths with setuid or setgid, or of another owner than root."""


class LockedPlan(NamedTuple):
    """All that is needed to make one package again, from its file alone."""

    kind: str
    """As of `ConversionPlan`."""
    mapped: MappedPackage
    source: LockedFile | None
    """None for packages without files."""


class LockedFile(NamedTuple):
    """A `.deb` and where it was."""

    name: str
    version: str
    source: str
    source_version: str
    suite: str
    path: str
    """Below the archive's root."""
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """Everything the lock says."""

    names: tuple[str, ...]
    architecture: str
    prune: str
    essential: str
    overrides: str
    """SHA-256 over the override files; empty for none."""
    converter: int
    lists: tuple[SuiteList, ...]
    packages: tuple[ImportedPackage, ...]
    plans: tuple[LockedPlan, ...]
    ledger: tuple[LedgerRow, ...]
    accounts: tuple[AccountNumber, ...]
    choices: tuple[Choice, ...]
    decisions: tuple[PruneDecision, ...]
    notes: tuple[str, ...]


def lock_document(record: ImportRecord) -> bytes:
    """The lock as JSON, one byte form for one record."""
    return canonical_json.encode_pretty(
        {
            "version": VERSION,
            "names": list(record.names),
            "architecture": record.architecture,
            "prune": record.prune,
            "essential": record.essential,
            "overrides": record.overrides,
            "converter": record.converter,
            "suites": [
                {
                    "suite": item.suite,
                    "component": item.component,
                    "release_sha256": item.release_sha256,
                    "release_date": item.release_date,
                    "signed_by": list(item.signed_by),
                    "list_sha256": item.list_sha256,
                }
                for item in record.lists
            ],
            "packages": [_package(item) for item in record.packages],
            "plans": [_plan(item) for item in record.plans],
            "versions": [dict(zip(_LEDGER_FIELDS, row, strict=True)) for row in record.ledger],
            "accounts": [row._asdict() for row in record.accounts],
            "choices": [_choice(item) for item in record.choices if _is_choice(item)],
            "pruning": {"rules": RULES_VERSION, "decisions": [asdict(item) for item in record.decisions]},
            "notes": list(record.notes),
        }
    )


def _package(item: ImportedPackage) -> dict[str, Any]:
    return asdict(item) | {
        "scripts": [
            report._asdict() | {"untranslated": [fault._asdict() for fault in report.untranslated]} for report in item.scripts
        ],
        "steps": [str(step) for step in item.steps],
    }


def _plan(item: LockedPlan) -> dict[str, Any]:
    file = item.source._asdict() if item.source is not None else None
    return {"kind": item.kind, "mapped": asdict(item.mapped), "source": file}


class Lock(NamedTuple):
    """What a lock says about making the same packages again."""

    names: tuple[str, ...]
    architecture: str
    """apk name."""
    overrides: str
    converter: int
    plans: tuple[LockedPlan, ...]
    ledger: tuple[LedgerRow, ...]
    accounts: tuple[AccountNumber, ...]
    digests: tuple[tuple[str, str], ...]
    """(name, SHA-256 of the unsigned package)."""


def read_lock(data: bytes, source: str) -> Lock:
    """Raises FormatError (`lock-syntax`, `lock-version`)."""
    try:
        value = json.loads(data)
        if value["version"] != VERSION:
            message = f"the lock has version {value['version']}, this program reads {VERSION}"
            raise FormatError(message, reason="lock-version", origin=Origin(source))
        return Lock(
            _texts(value["names"]),
            _text(value["architecture"]),
            _text(value["overrides"]),
            int(value["converter"]),
            tuple(_read_plan(item) for item in value["plans"]),
            tuple(_row(item) for item in value["versions"]),
            tuple(AccountNumber(**item) for item in value["accounts"]),
            tuple((_text(item["name"]), _digest(item["sha256"])) for item in value["packages"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError("not the lock of an import", reason="lock-syntax", origin=Origin(source)) from error


def _read_plan(value: Any) -> LockedPlan:
    fields: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in value["mapped"].items()}
    mapped = MappedPackage(**fields)
    for name, item in fields.items():
        wanted: type = int if name.endswith("_priority") else tuple if name in _LISTS else str
        if type(item) is not wanted:
            raise TypeError(name)
        if isinstance(item, tuple):
            _texts(item)
    file = LockedFile(**value["source"]) if value["source"] is not None else None
    if file is not None:
        _digest(file.sha256)
        if type(file.size) is not int or not all(type(item) is str for item in (*file[:6], file.sha256)):
            raise TypeError("source")
        if file.path.startswith("/") or ".." in file.path.split("/"):
            raise ValueError("path")
    return LockedPlan(_text(value["kind"]), mapped, file)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in value)


def _digest(value: Any) -> str:
    if len(bytes.fromhex(_text(value))) != 32:
        raise ValueError("digest")
    return _text(value)


def _is_choice(choice: Choice) -> bool:
    """Whether there was something to choose: several alternatives, or a virtual name."""
    return choice.reason != "only" or choice.provider != choice.relation.name


def _choice(choice: Choice) -> dict[str, str]:
    return {
        "package": choice.package,
        "group": choice.group,
        "choice": str(choice.relation),
        "provider": choice.provider,
        "reason": choice.reason,
    }


def write_ledger(rows: Iterable[LedgerRow]) -> bytes:
    """Canonical JSON lines, one row each."""
    return b"".join(canonical_json.encode(dict(zip(_LEDGER_FIELDS, row, strict=True))) + b"\n" for row in rows)


def read_ledger(data: bytes, source: str) -> tuple[LedgerRow, ...]:
    """Rows of a ledger file.  Raises FormatError (`ledger-syntax`) with line."""
    rows: list[LedgerRow] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        try:
            rows.append(_row(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise FormatError("not a row of a version ledger", reason="ledger-syntax", origin=Origin(source, number)) from error
    return tuple(rows)


def _row(value: Any) -> LedgerRow:
    if set(value) != set(_LEDGER_FIELDS):
        raise ValueError("fields")
    row = LedgerRow(**value)
    texts, numbers = row[:4], row[4:]
    if not all(type(item) is str for item in texts) or not all(type(item) is int for item in numbers):
        raise TypeError("types")
    return row
