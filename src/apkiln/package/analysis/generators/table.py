"""All generators, in the order they run.  Results are sets, so the order shows in remarks only."""

from __future__ import annotations

from apkiln.package.analysis.generators.commands import commands
from apkiln.package.analysis.generators.documentation import documentation
from apkiln.package.analysis.generators.go_programs import go_programs
from apkiln.package.analysis.generators.kernels import kernels
from apkiln.package.analysis.generators.languages import perl, python, ruby
from apkiln.package.analysis.generators.pkg_config import pkg_config
from apkiln.package.analysis.generators.relations import Generator
from apkiln.package.analysis.generators.scripts import scripts
from apkiln.package.analysis.generators.shared_objects import shared_objects

GENERATORS: tuple[tuple[str, Generator], ...] = (
    ("shared objects", shared_objects),
    ("Go programs", go_programs),
    ("commands", commands),
    ("documentation", documentation),
    ("pkg-config", pkg_config),
    ("perl", perl),
    ("python", python),
    ("ruby", ruby),
    ("scripts", scripts),
    ("kernel", kernels),
)
