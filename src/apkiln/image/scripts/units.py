"""Links that enable units of systemd, as `systemctl enable` and `systemctl preset` write them (systemd.unit(5),
systemd.preset(5))."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.scripts.declared_files import declared_lines
from apkiln.image.scripts.effects import EnableUnits
from apkiln.image.scripts.options import NotUnderstood

RULE = "systemd-units"
_UNITS = "usr/lib/systemd/system"
_PLACE = "etc/systemd/system"
_DIRECTORIES = {"WantedBy": "wants", "RequiredBy": "requires", "UpheldBy": "upholds"}


def enable_units(draft: Draft, wanted: EnableUnits) -> None:
    """Rule `systemd-units`.  Without units all that are installed.  Raises NotUnderstood for a unit that is not there."""
    directory = draft.resolve(_UNITS)
    names = wanted.units or tuple(path.rpartition("/")[2] for path in draft.children(directory))
    presets = tuple(_presets(draft)) if wanted.as_preset else ()
    for name in names:
        unit = name if "." in name else f"{name}.service"
        if not draft.file_at(f"{_UNITS}/{unit}"):
            if wanted.units and "@" not in unit:
                raise NotUnderstood(f"there is no unit `{unit}`")
            continue
        if not wanted.as_preset or _is_enabled(unit, presets):
            _enable(draft, unit)


def _presets(draft: Draft) -> Iterator[tuple[bool, str]]:
    """(enable, pattern) in order; the first that matches decides."""
    for line in declared_lines(draft, "systemd/system-preset", ".preset"):
        words = line.split()
        if len(words) >= 2 and words[0] in ("enable", "disable"):
            yield words[0] == "enable", words[1]


def _is_enabled(unit: str, presets: Iterable[tuple[bool, str]]) -> bool:
    """Units that no preset speaks of are enabled."""
    return next((enable for enable, pattern in presets if fnmatchcase(unit, pattern)), True)


def _enable(draft: Draft, unit: str) -> None:
    target = f"/{_UNITS}/{unit}"
    for key, names in _install_section(draft.read(f"{_UNITS}/{unit}").decode("utf-8", "replace")):
        for name in names:
            if "%" in name:
                raise NotUnderstood(f"`{unit}` is installed under a name that depends on the machine")
            if key == "Alias":
                _link(draft, f"{_PLACE}/{name}", target)
            elif key == "Also":
                if draft.file_at(f"{_UNITS}/{name}"):
                    _link_also(draft, name)
            else:
                _link(draft, f"{_PLACE}/{name}.{_DIRECTORIES[key]}/{unit}", target)


def _link_also(draft: Draft, unit: str) -> None:
    """Units of one `Also` do not lead further, so no circle can arise."""
    for key, names in _install_section(draft.read(f"{_UNITS}/{unit}").decode("utf-8", "replace")):
        for name in names:
            if key in _DIRECTORIES and "%" not in name:
                _link(draft, f"{_PLACE}/{name}.{_DIRECTORIES[key]}/{unit}", f"/{_UNITS}/{unit}")


def _install_section(text: str) -> Iterator[tuple[str, list[str]]]:
    inside = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            inside = stripped == "[Install]"
        key, equals, value = stripped.partition("=")
        if inside and equals and key.strip() in (*_DIRECTORIES, "Alias", "Also"):
            yield key.strip(), value.split()


def _link(draft: Draft, path: str, target: str) -> None:
    place = draft.resolve_parent(path)
    if draft.entry(place) is None:
        draft.put(RULE, Entry(place, EntryType.SYMLINK, 0o777, target=target))
