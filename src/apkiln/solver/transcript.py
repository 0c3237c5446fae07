"""A solution as the lines apk prints when it simulates (spec apk.md §14)."""

from __future__ import annotations

from apkiln.solver.solution import Change, ChangeKind, Solution


def transcript(solution: Solution) -> list[str]:
    """One numbered line per change, then the size and number of packages afterwards."""
    total = len(solution.changes)
    lines = [f"({number}/{total}) {change_line(change)}" for number, change in enumerate(solution.changes, 1)]
    size = sum(package.record.installed_size for package in solution.packages)
    return [*lines, f"OK: {size_text(size)} in {len(solution.packages)} packages"]


def change_line(change: Change) -> str:
    """`Installing name (version)`, `Upgrading name@tag (old -> new)` and so on."""
    verb = "Updating pinning" if change.kind is ChangeKind.RETAG else change.kind.value
    name = f"{change.name}@{change.new.tag}" if change.new and change.new.tag else change.name
    new = change.new.record.version if change.new else ""
    old = change.old.version if change.old else ""
    if change.kind in (ChangeKind.UPGRADE, ChangeKind.DOWNGRADE, ChangeKind.REPLACE):
        return f"{verb} {name} ({old} -> {new})"
    if change.kind is ChangeKind.REINSTALL and change.new and change.new.repository < 0:
        verb = f"[APK unavailable, skipped] {verb}"
    return f"{verb} {name} ({new or old})"


def size_text(size: int) -> str:
    """Bytes with a binary unit: `532 B`, `12 MiB`."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 10_000:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}"
