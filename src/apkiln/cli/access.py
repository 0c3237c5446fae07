"""What commands fetch with: the cache, the network and local files of this process."""

from __future__ import annotations

from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.acquire.access import Access
    from apkiln.cli.context import Context
    from apkiln.core.limits import Limits


def open_access(context: Context, limits: Limits | None = None) -> Access:
    """`acquire`'s bundle for the settings of a command.  Opens nothing on the network."""
    from apkiln.acquire.access import Access
    from apkiln.acquire.generations import Pins
    from apkiln.system.clock import SystemClock
    from apkiln.system.directory_store import DirectoryStore
    from apkiln.system.files import DiskFiles
    from apkiln.system.network import open_transfer

    settings = context.settings
    files = DiskFiles(durable=False)
    return Access(
        store=DirectoryStore(Path(settings.cache_directory)),
        transfer=open_transfer(settings.environment, files, offline=settings.offline, jobs=settings.jobs),
        files=files,
        offline=settings.offline,
        limits=limits or settings.limits,
        reporter=context.reporter,
        jobs=settings.jobs,
        now=int(SystemClock().now()),
        allow_expired=bool(settings.environment.get("APKILN_ALLOW_EXPIRED")),
        pins=Pins(),
        directory=Path(settings.working_directory),
    )
