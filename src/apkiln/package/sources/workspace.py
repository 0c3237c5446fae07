"""Sources of a definition in a directory of this machine, to be looked at and changed (spec package.md §15.5)."""

from __future__ import annotations

from pathlib import Path

from apkiln.core.errors import ConfigurationError, ConflictError, UnavailableError
from apkiln.core.limits import DEFAULT_LIMITS, MIB, Limits
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.source_archive import foreign_entries
from apkiln.package.sources.access import SourceAccess
from apkiln.package.sources.fetching import fetch_sources
from apkiln.package.sources.plan import FULL_HISTORY, FetchSource, GitSource
from apkiln.package.sources.workspace_plan import PatchAction, PlacedAction, SourceAction, series_names, sources_of
from apkiln.system.git import GitWant
from apkiln.system.git_worktree import CheckoutWant, WorkTrees
from apkiln.system.process import Command, Runner
from apkiln.system.tree_reader import read_tree
from apkiln.system.tree_writer import DirectoryTreeWriter

_MAXIMUM_PATCH = 256 * MIB
_TIMEOUT = 300.0


@value
class WorkspaceTools:
    """What filling a workspace needs."""

    access: SourceAccess
    trees: WorkTrees
    runner: Runner
    environment: tuple[tuple[str, str], ...]
    """`PATH`, where `patch` is found."""
    date: int = 0
    """Unix seconds of commits that are made."""
    limits: Limits = DEFAULT_LIMITS


def fill_workspace(
    actions: tuple[PlacedAction, ...], output: Path, side_files: Path | None, tools: WorkspaceTools
) -> tuple[str, ...]:
    """Copy the side files, then perform the actions in order; what was done, one line each.

    `output`: absolute, absent or empty.  `side_files`: directory with patches and the like.  In a checkout each patch becomes a
    commit.  Raises ConflictError `output-exists`, what `fetch_sources` and `WorkTrees.check_out` raise, UnavailableError
    `missing-patch`, `patch-failed`, and the FormatErrors of archives, ConfigurationError `path-outside`.
    """
    files = tools.access.files
    if files.status(output) is not None and files.list(output):
        message = f"the directory `{output}` is not empty"
        raise ConflictError(message, reason="output-exists", origin=Origin(str(output)), hint="name another one with `-o`")
    fetch_sources(sources_of(actions), tools.access)
    files.make_directory(output)
    return tuple(_Filling(output, side_files, tools).run(actions))


class _Filling:
    def __init__(self, output: Path, side_files: Path | None, tools: WorkspaceTools) -> None:
        self.output = output
        self.side_files = side_files
        self.tools = tools
        self.files = tools.access.files
        self.checkouts: list[Path] = []

    def run(self, actions: tuple[PlacedAction, ...]) -> list[str]:
        done: list[str] = []
        checks_out = any(_is_checkout(placed) for placed in actions)
        if self.side_files is not None and not checks_out:
            self._copy_side_files()
        for action, directory in actions:
            place = self._inside(self.output / directory if directory else self.output)
            if isinstance(action, PatchAction):
                done += self._patch(action, place)
            elif isinstance(action.source, GitSource):
                done.append(self._check_out(action.source, place))
            else:
                done.append(self._take(action.source, place))
        return done

    def _inside(self, path: Path) -> Path:
        """The path itself; what was unpacked before may hold a link that leads out of the workspace."""
        if not path.resolve().is_relative_to(self.output.resolve()):
            raise ConfigurationError(
                f"`{path}` leads out of the workspace through a link", reason="path-outside", origin=Origin(str(path))
            )
        return path

    def _copy_side_files(self) -> None:
        assert self.side_files is not None
        writer = DirectoryTreeWriter(self.output)
        try:
            for entry, content in read_tree(self.side_files):
                writer.add(entry, content)
            writer.finish()
        finally:
            writer.close()

    def _check_out(self, source: GitSource, place: Path) -> str:
        directory = self._inside(place / source.destination)
        self.files.make_directory(directory)
        want = GitWant(
            location=source.repository,
            commit=source.commit,
            tag=source.tag,
            branch=source.branch,
            depth=0 if source.depth == FULL_HISTORY else source.depth,
            picks=tuple((pick.branch, pick.commit) for pick in source.picks),
        )
        bundle = Path(self.tools.access.cache) / source.cache_name
        checkout = CheckoutWant(bundle, want, source.submodules, source.sparse_paths)
        commit = self.tools.trees.check_out(checkout, directory, self.tools.date)
        self.checkouts.append(directory.resolve())
        return f"{source.repository} at {commit}"

    def _take(self, source: FetchSource, place: Path) -> str:
        cached = Path(self.tools.access.cache) / source.cache_name
        self.files.make_directory(place)
        status = self.files.status(cached)
        assert status is not None, "fetched before"
        if not source.extract:
            with self.files.open(cached) as stream, self.files.create(place / source.file_name) as out:
                while chunk := stream.read(MIB):
                    out.write(chunk)
            return f"{source.uri}: {source.file_name}"
        directory = self._inside(place / source.directory)
        self.files.make_directory(directory)
        writer = DirectoryTreeWriter(directory)
        origin = Origin(source.uri)
        try:
            with self.files.open(cached) as stream:
                entries = foreign_entries(
                    stream, status.size, origin, self.tools.limits, strip_components=source.strip_components
                )
                for entry, content in entries:
                    writer.add(entry._replace(uid=0, gid=0), content)
            writer.finish()
        finally:
            writer.close()
        return f"{source.uri}: unpacked"

    def _patch(self, action: PatchAction, place: Path) -> list[str]:
        names = action.patches
        if action.series:
            names = series_names(self._read(action.series, action).decode("utf-8", "replace"), action.origin)
        return [self._apply(name, action, place) for name in names]

    def _apply(self, name: str, action: PatchAction, place: Path) -> str:
        content = self._read(name, action)
        words = ("patch", f"-p{action.strip_components}", f"--fuzz={action.fuzz}", "--batch", "--no-backup-if-mismatch")
        command = Command(words, self.tools.environment, place, content, timeout=_TIMEOUT)
        done = self.tools.runner.run(command)
        if done.exit_code:
            shown = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()[-10:]
            raise UnavailableError(f"patch `{name}` does not apply", reason="patch-failed", origin=action.origin, details=shown)
        checkout = next((one for one in self.checkouts if place.resolve().is_relative_to(one)), None)
        if checkout is not None:
            self.tools.trees.record(checkout, name.rpartition("/")[2].removesuffix(".patch"), self.tools.date)
        return f"patch {name}"

    def _read(self, name: str, action: PatchAction) -> bytes:
        """A file of the side files, else of the workspace; neither through links that lead out."""
        from apkiln.system.folder import DirectoryFolder

        for root in (self.side_files, self.output):
            found = DirectoryFolder(root).read(name, _MAXIMUM_PATCH) if root is not None else None
            if found is not None:
                return found
        message = f"there is no file `{name}`"
        hint = "patches lie in the directory named after the definition; `--source-dir` names another"
        raise UnavailableError(message, reason="missing-patch", origin=action.origin, hint=hint)


def _is_checkout(placed: PlacedAction) -> bool:
    return isinstance(placed.action, SourceAction) and isinstance(placed.action.source, GitSource)
