"""The names and candidate packages one request can touch, built as they are reached.

A big index is never turned into objects as a whole: a name looks up its providers on first use, and a record is parsed into
a candidate once, whatever number of names, repositories and databases it is listed under (its identity is the key).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy

from apkiln.core.arch import Arch
from apkiln.core.errors import FormatError
from apkiln.formats.apk.dependency import Dependency, kept_dependencies, parse_dependencies, provided
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import sort_key
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.source import PackageSource, RecordList

_FEW = 8
UNTAGGED = 1
"""Bit of the untagged repositories in tag sets; the tags follow in order of appearance."""


class Candidate:
    """One package: what its record says, and (below the line) the state of the run that owns the universe."""

    __slots__ = (
        "allowed_tags", "always_allowed", "applied", "available", "concerned", "conflicts", "counted", "defect", "depends",
        "entered", "failed_install_if", "identity", "inherited_wish", "install_if", "installed", "key", "name", "needs",
        "offers", "preferred_tags", "priority", "provides", "record", "repositories", "selectable", "tags", "triggered",
        "unusable", "wish",
    )  # fmt: skip

    def __init__(self, record: IndexRecord) -> None:
        self.record = record
        self.name = record.name
        self.identity = record.identity
        self.key = sort_key(record.version)
        self.priority = record.provider_priority
        self.repositories: list[tuple[int, str]] = []
        """(number, tag) of every repository that lists it, in order of the repository lines."""
        self.tags = 0
        """Tag set of those repositories, and of the one it was installed from."""
        self.available = False
        """Some reachable repository, or the cache, has it."""
        self.always_allowed = record.installed_size == 0
        """No tag is needed: installed, cached or without content."""
        self.installed: IndexRecord | None = None
        """The installed database's record of this very package."""
        self.unusable = ""
        """Reason code why it can never be chosen (`arch`, `bad-record`); empty when it can."""
        self.defect = ""
        """What exactly is wrong with it."""
        self.depends: tuple[Dependency, ...] = ()
        self.provides: tuple[tuple[str, str], ...] = ()
        self.offers: dict[str, list[str]] | None = None
        """Provided name → versions; None = not looked up."""
        self.install_if: tuple[Dependency, ...] = ()
        self.renew()

    def renew(self) -> None:
        """As before any run."""
        self.needs: tuple[Name, ...] | None = None
        """Names it depends on, each once; None = not looked up."""
        self.entered = False
        """Discovery went to what it depends on."""
        self.concerned: Iterator[Name] | None = None
        """Names it concerns, as far as discovery has not gone to them; None = not asked for."""
        # ---- state of a run
        self.selectable = True
        """No item and no rival speaks against it so far."""
        self.conflicts = 0
        self.counted = False
        """It was among the candidates of a required name when they were looked at."""
        self.wish = 0
        self.inherited_wish = 0
        self.allowed_tags = UNTAGGED
        self.preferred_tags = 0
        self.applied = False
        """The items of `depends` bind already."""
        self.triggered = False
        """All items of its install_if are met."""
        self.failed_install_if = False
        """An item of its install_if failed for good."""

    def versions_of(self, name: str) -> Sequence[str]:
        """What it provides under `name`, in the order written.  Looked up in constant time however many provides there are."""
        if len(self.provides) <= _FEW:
            return [version for text, version in self.provides if text == name]
        if self.offers is None:
            self.offers = {}
            for text, version in self.provides:
                self.offers.setdefault(text, []).append(version)
        return self.offers.get(name, ())

    @property
    def tag_allowed(self) -> bool:
        return self.always_allowed or bool(self.tags & self.allowed_tags)

    @property
    def tag_preferred(self) -> bool:
        if self.preferred_tags:
            return bool(self.tags & self.preferred_tags)
        return bool(self.tags & UNTAGGED) or self.record.installed_size == 0

    @property
    def reachable(self) -> bool:
        """Its bytes can be had, or are not needed."""
        return self.available or self.installed is not None or self.record.installed_size == 0


class Provide:
    """One package under one name it answers to."""

    __slots__ = ("candidate", "key", "version")

    def __init__(self, candidate: Candidate, version: str) -> None:
        self.candidate = candidate
        self.version = version
        """Empty = unversioned."""
        self.key = sort_key(version)


class Name:
    """A package or virtual name: who provides it, who needs it, and (below the line) the state of the run."""

    __slots__ = (
        "auto_selectable", "check_depends", "check_install_if", "chosen", "dirty", "discovered", "has_options", "installed",
        "is_real", "locked", "may_trigger", "number", "providers", "queue", "requirers", "reverse_depends",
        "reverse_install_if", "text", "triggers",
    )  # fmt: skip

    def __init__(self, text: str) -> None:
        self.text = text
        self.providers: list[Provide] = []
        self.is_real = False
        """Some package has this very name."""
        self.installed: Candidate | None = None
        """The installed package of this very name."""
        self.renew()

    def renew(self) -> None:
        """As before any run."""
        self.reverse_depends: list[Name] = []
        """Discovered names with a package that depends on this one, in order of discovery."""
        self.reverse_install_if: list[Name] | None = None
        """Names that own a package whose install_if mentions this one; None = not looked up."""
        self.discovered = False
        self.number = 0
        """Discovery number: dependants have higher ones than what they depend on."""
        # ---- state of a run
        self.requirers = 0
        self.locked = False
        self.chosen: Provide | None = None
        self.dirty = False
        self.check_depends = False
        self.check_install_if = False
        self.has_options = False
        self.auto_selectable = False
        self.queue = ""
        self.may_trigger = True
        """Some candidate with an install_if was left when they were looked at last."""
        self.triggers = 0
        """Triggered candidates."""


class Universe:
    """Names and candidates for one request.

    Order of the providers of a name: installed database, cache, then repositories by number; within one of them the record
    order in `strict_apk` mode and the canonical order (§10.7) otherwise.
    """

    def __init__(self, repositories: Sequence[SolverRepository], request: Request, arch: Arch) -> None:
        self._accepted = {arch.apk, "noarch", "", *request.architectures}
        self._strict = request.strict_apk
        self._wish = int(request.wish)
        self._wishes = {wish.name: wish for wish in request.wishes}
        self._names: dict[str, Name] = {}
        self._candidates: dict[bytes, Candidate] = {}
        self._known: tuple[dict[str, Name], dict[bytes, Candidate]] = ({}, {})
        """What an earlier run looked up."""
        self._repositories: list[tuple[SolverRepository, PackageSource]] = [
            (repository, _source(repository.records)) for repository in sorted(repositories, key=lambda item: item.number)
        ]
        self.tags: dict[str, int] = {}
        """Bit of each tag that some repository has, in their order of precedence."""
        listed = dict.fromkeys(repository.tag for repository, _ in self._repositories if repository.tag)
        for tag in [*(tag for tag in request.tag_order if tag in listed), *listed]:
            self.tags.setdefault(tag, UNTAGGED << (len(self.tags) + 1))
        self.installed: list[Candidate] = []
        """Installed packages in database order."""
        self._local: list[PackageSource] = [RecordList(records) for records in (request.installed, request.cached) if records]
        self._add_installed(request.installed)
        for record in request.cached:
            candidate = self._candidate(record)
            candidate.always_allowed = candidate.available = True

    def _add_installed(self, records: Sequence[IndexRecord]) -> None:
        untagged = UNTAGGED if any(not repository.tag for repository, _ in self._repositories) else 0
        for record in records:
            candidate = self._candidate(record)
            candidate.installed = record
            candidate.always_allowed = True
            candidate.tags |= self.tags.get(record.repository_tag, 0) if record.repository_tag else untagged
            self.installed.append(candidate)
        for candidate in self.installed:
            self.name(candidate.name).installed = candidate

    def renewed(self) -> Universe:
        """The same, as before any run; what was looked up and parsed is not again.  This one must not be used any more.
        Only for requests without installed and cached packages and without wishes."""
        fresh = copy(self)
        fresh._known = self._names, self._candidates
        fresh._names, fresh._candidates = {}, {}
        return fresh

    @property
    def names(self) -> Iterable[Name]:
        """Every name looked up so far, in order of appearance."""
        return self._names.values()

    @property
    def candidates(self) -> Iterable[Candidate]:
        """Every package looked at so far, in order of appearance."""
        return self._candidates.values()

    @property
    def has_wishes(self) -> bool:
        """Whether the request wishes for anything beyond its world."""
        return bool(self._wish or self._wishes)

    def name(self, text: str) -> Name:
        """The name, with its providers looked up on first use."""
        found = self._names.get(text)
        if found is None:
            found = self._known[0].get(text)
            if found is not None:
                return self._again(found)
            found = self._names[text] = Name(text)
            self._look_up(found)
        return found

    def _again(self, name: Name) -> Name:
        """A name that an earlier run looked up."""
        self._names[name.text] = name
        name.renew()
        for provide in name.providers:
            self._candidate(provide.candidate.record)
        return name

    def mentioning(self, text: str) -> list[Candidate]:
        """Candidates whose install_if mentions `text`, in source order."""
        found: dict[Candidate, None] = {}
        for source in self._local:
            found.update((self._candidate(source.record(number)), None) for number in source.reverse_install_if(text))
        for repository, source in self._repositories:
            found.update(dict.fromkeys(self._batch(repository, source, source.reverse_install_if(text))))
        return [candidate for candidate in found if candidate.install_if]

    def _look_up(self, name: Name) -> None:
        candidates: dict[Candidate, None] = {}
        for source in self._local:
            candidates.update((self._candidate(source.record(number)), None) for number in source.providers(name.text))
        for repository, source in self._repositories:
            candidates.update(dict.fromkeys(self._batch(repository, source, source.providers(name.text))))
        wish = self._wishes.get(name.text)
        for candidate in candidates:
            if candidate.name == name.text:
                name.is_real = True
                name.providers.append(Provide(candidate, candidate.record.version))
            for version in candidate.versions_of(name.text):
                name.providers.append(Provide(candidate, version))
            if wish is not None:
                candidate.wish |= wish.wish
                candidate.inherited_wish |= wish.inherited

    def _batch(self, repository: SolverRepository, source: PackageSource, numbers: Sequence[int]) -> list[Candidate]:
        """Candidates of one repository in the order of this universe."""
        batch = [self._listed(repository, source, number) for number in numbers]
        if not self._strict and len(batch) > 1:
            batch.sort(key=_canonical)
        return batch

    def _listed(self, repository: SolverRepository, source: PackageSource, number: int) -> Candidate:
        candidate = self._candidate(source.record(number))
        place = (repository.number, repository.tag)
        if place not in candidate.repositories:
            candidate.repositories.append(place)
            candidate.tags |= self.tags.get(repository.tag, UNTAGGED)
            candidate.available |= repository.reachable
        return candidate

    def _candidate(self, record: IndexRecord) -> Candidate:
        found = self._candidates.get(record.identity)
        if found is None:
            found = self._known[1].get(record.identity)
            if found is None:
                found = Candidate(record)
                self._parse(found)
            else:
                found.renew()
            self._candidates[record.identity] = found
            found.wish = self._wish
        return found

    def _parse(self, candidate: Candidate) -> None:
        record = candidate.record
        if record.arch not in self._accepted:
            candidate.unusable, candidate.defect = "arch", record.arch
        try:
            candidate.depends = parse_dependencies(record.depends, lenient=True)
        except FormatError as fault:
            candidate.unusable, candidate.defect = "bad-record", fault.message
            candidate.depends = kept_dependencies(record.depends)  # they have a part in the order of decisions
        if record.provides:
            candidate.provides = tuple(_provides(record))
        if record.install_if:
            try:
                candidate.install_if = parse_dependencies(record.install_if, lenient=True)
            except FormatError:
                candidate.install_if = ()  # one bad item drops the whole list (§3)


def _provides(record: IndexRecord) -> Iterable[tuple[str, str]]:
    for item in record.provides.split():
        try:
            yield provided(item, lenient=True)
        except FormatError:
            return  # what stands before is kept


def _canonical(candidate: Candidate) -> tuple[bytes, bytes, bytes]:
    return candidate.name.encode(), candidate.key, candidate.identity


def _source(records: Sequence[IndexRecord] | PackageSource) -> PackageSource:
    return RecordList(records) if isinstance(records, Sequence) else records
