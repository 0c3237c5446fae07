"""Scripts that are run: what they leave is a rule's, twice the same, or no image is made."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest
from tests.unit.image.scripts.test_package_scripts import draft_of, package

from apkiln.core.errors import ConfigurationError
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.scripts.effects import ScriptReport, State
from apkiln.image.scripts.replacing import replace_scripts
from apkiln.image.scripts.sandboxed import ScriptRoom, UncoveredScript, run_scripts
from apkiln.system.memory_scripts import Contents, MemoryScripts
from apkiln.system.script_sandbox import ScriptCall, ScriptEnd, TreeItem

TEXT = b"#!/bin/sh\nmystery --of life\n"
Program = Callable[[Contents, ScriptCall], ScriptEnd]
GOOD = ScriptEnd(0)


def show(draft: Draft) -> Iterable[TreeItem]:
    for path in sorted({*draft.packages.paths(), *draft.nodes}):
        entry = draft.entry(path)
        if entry is not None:
            yield entry, (draft.read(path),) if entry.type is EntryType.FILE else ()


def run(program: Program, draft: Draft, text: bytes = TEXT) -> tuple[ScriptReport, ...]:
    room = ScriptRoom(MemoryScripts({text: program}), 77)

    def uncovered(scripts: tuple[UncoveredScript, ...]) -> tuple[ScriptReport, ...]:
        return run_scripts(draft, scripts, lambda: show(draft), room)

    packages = [package("covered", {"post-install": "#!/bin/sh\nmkdir /srv/x\n"}), package("p", {"post-install": text.decode()})]
    return replace_scripts(draft, packages, "sandbox", uncovered)


def file(path: str, content: bytes, mode: int = 0o644, mtime: int = 0) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.FILE, mode, size=len(content), mtime=mtime), content


def write(*items: tuple[Entry, bytes]) -> Program:
    def program(tree: Contents, call: ScriptCall) -> ScriptEnd:
        tree.update({entry.path: (entry, content) for entry, content in items})
        return GOOD

    return program


def test_what_a_script_leaves_is_the_rule_s_without_its_times() -> None:
    draft = draft_of()
    reports = run(write(file("etc/made", b"new", 0o640, mtime=5), file("bin/tool", b"changed", 0o755)), draft)
    assert [(report.package, report.state) for report in reports] == [
        ("covered-1.0-r0", State.REPLACED),
        ("p-1.0-r0", State.RAN),
    ]
    assert (draft.read("etc/made"), draft.read("bin/tool")) == (b"new", b"changed")
    entry = draft.entry("etc/made")
    assert entry is not None and (entry.mode, entry.mtime) == (0o640, 0)
    assert {draft.nodes[path].rule for path in ("etc/made", "bin/tool")} == {"package-scripts"}


def test_scripts_see_what_rules_did_and_a_fixed_environment() -> None:
    seen: list[tuple[bool, ScriptCall]] = []

    def program(tree: Contents, call: ScriptCall) -> ScriptEnd:
        seen.append(("srv/x" in tree, call))
        return GOOD

    draft = draft_of()
    run(program, draft)
    assert [there for there, _ in seen] == [True, True], "run twice"
    environment = dict(seen[0][1].environment)
    assert environment["SOURCE_DATE_EPOCH"] == "77"
    assert environment["APK_PACKAGE"] == "p-1.0-r0"
    assert seen[0][1].arguments == ("1.0-r0",)


def test_only_modes_change_without_the_content() -> None:
    draft = draft_of()
    run(write(file("bin/tool", b"t", 0o700)), draft)
    node = draft.nodes["bin/tool"]
    assert (node.entry.mode, node.content, node.source) == (0o700, None, "bin/tool")


def test_what_is_as_it_was_is_no_change_and_volatile_directories_do_not_count() -> None:
    draft = draft_of()
    before = dict(draft.nodes)
    run(write(file("bin/tool", b"t", 0o755, mtime=9), file("run/x", b"x"), file("tmp/y", b"y")), draft)
    assert draft.nodes.keys() - before.keys() == {"srv/x", "srv"}


def reason(program: Program) -> ConfigurationError:
    draft = draft_of()
    with pytest.raises(ConfigurationError) as caught:
        run(program, draft)
    assert not any(node.rule == "package-scripts" and path != "srv/x" and path != "srv" for path, node in draft.nodes.items())
    return caught.value


def test_a_script_that_fails_is_told_with_what_it_said() -> None:
    error = reason(lambda tree, call: ScriptEnd(3, ("no such life",)))
    assert (error.reason, error.details, error.origin.package) == ("script-failed", ("no such life",), "p-1.0-r0")


def test_a_script_that_leaves_something_else_each_time_is_refused() -> None:
    numbers = itertools.count()
    error = reason(lambda tree, call: write(file("etc/id", b"%d" % next(numbers)), file("etc/same", b"s"))(tree, call))
    assert (error.reason, error.details) == ("script-not-reproducible", ("/etc/id",))


def test_what_a_package_ships_cannot_go_and_what_a_rule_made_can() -> None:
    def remove(path: str) -> Program:
        def program(tree: Contents, call: ScriptCall) -> ScriptEnd:
            del tree[path]
            return GOOD

        return program

    assert reason(remove("bin/tool")).reason == "script-removes-path"
    draft = draft_of()
    run(remove("srv/x"), draft)
    assert not draft.exists("srv/x")


def test_without_a_sandbox_nothing_is_built() -> None:
    with pytest.raises(ConfigurationError) as caught:
        replace_scripts(draft_of(), [package("p", {"post-install": TEXT.decode()})], "sandbox")
    assert caught.value.reason == "no-sandbox"


def test_covered_scripts_need_no_sandbox() -> None:
    (report,) = replace_scripts(draft_of(), [package("p", {"post-install": "#!/bin/sh\nmkdir /srv/y\n"})], "sandbox")
    assert report.state is State.REPLACED
