"""What a command is given besides its arguments."""

from __future__ import annotations

from apkiln.cli.output import Output
from apkiln.cli.settings import Settings
from apkiln.core.progress import Reporter
from apkiln.core.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


@value
class Context:
    """Handed to `run(arguments, context)` of every command module."""

    settings: Settings
    reporter: Reporter
    output: Output
    """Data goes here."""
    error_stream: TextIO
    """Remarks go here (prefer `reporter.note`)."""
