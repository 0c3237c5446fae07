"""Files whose absence is worth a remark (spec image.md §5.1 step 18)."""

from __future__ import annotations

from apkiln.image.generated.draft import Draft

_EXPECTED = ("etc/passwd", "etc/group", "etc/os-release")


def remark_on_absence(draft: Draft) -> None:
    """One notice for each of passwd, group and os-release that the image lacks."""
    for path in _EXPECTED:
        if not draft.file_at(path):
            draft.notice(f"the image has no `/{path}`")
