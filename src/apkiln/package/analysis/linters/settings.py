"""Which linters run, and what their findings mean."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import UsageError
from apkiln.core.value import value
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.package.analysis.linters.scene import Default
from apkiln.package.analysis.linters.table import NAMES


@value
class LintSettings:
    """Names of linters; None = those of the table."""

    required: tuple[str, ...] | None = None
    """Those whose findings refuse a package."""
    warned: tuple[str, ...] | None = None

    def check(self) -> LintSettings:
        """Itself when it names linters only.  UsageError `unknown-linter`."""
        for name in (*(self.required or ()), *(self.warned or ())):
            if name not in NAMES:
                guess = nearest(name, NAMES)
                hint = f"did you mean `{guess}`?" if guess else "`apkiln package lint --list` names all"
                raise UsageError(f"there is no linter `{name}`", reason="unknown-linter", hint=hint)
        return self

    def of(self, name: str, default: Default, disabled: Iterable[str]) -> Default:
        """What a finding of a linter means; what a package disables only warns."""
        required = default is Default.REQUIRED if self.required is None else name in self.required
        if required:
            return Default.WARNED if name in disabled else Default.REQUIRED
        warned = default is Default.WARNED if self.warned is None else name in self.warned
        return Default.WARNED if warned else Default.OFF


DEFAULT_SETTINGS = LintSettings()
