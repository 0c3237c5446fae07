"""How the `repo` commands tell what they changed, and what they work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.repository.publishing import Publication, Workshop


def open_workshop(context: Context, *, strict: bool) -> Workshop:
    """Real files, forced to the disk before anything is called published."""
    from apkiln.repository.publishing import Workshop
    from apkiln.system.files import DiskFiles

    settings = context.settings
    return Workshop(DiskFiles(), settings.limits, context.reporter, settings.jobs, strict)


def report_publication(publication: Publication, context: Context) -> None:
    """Data to standard output, unmet dependencies as notes."""
    for item in publication.unresolved:
        context.reporter.note(f"{item.package} ({item.arch}) needs `{item.item}`, which nothing in the repository provides")
    if context.settings.json:
        context.output.json(
            {
                "added": list(publication.added),
                "unchanged": list(publication.unchanged),
                "indexes": [
                    {"arch": index.arch, "packages": index.packages, "digest": str(index.digest)} for index in publication.indexes
                ],
                "unresolved": [
                    {"arch": item.arch, "package": item.package, "dependency": item.item} for item in publication.unresolved
                ],
            }
        )
        return
    for name in publication.added:
        context.output.print(f"added      {name}")
    for name in publication.unchanged:
        context.output.print(f"unchanged  {name}")
    for index in publication.indexes:
        context.output.print(f"index      {index.arch}: {index.packages} packages, {index.digest}")
