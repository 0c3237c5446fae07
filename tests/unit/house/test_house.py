"""The house itself: rows import downwards, pure rows touch nothing, packages say what they are, nothing foreign is committed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src" / "apkiln"
MODULES = sorted(SOURCE.rglob("*.py"))
PURE = ("core", "formats", "solver")
QUIET = ("core", "formats", "solver", "acquire", "rootfs", "image", "repository", "debian", "package", "system")

START_MODULES_LIMIT = {"__future__", "apkiln", "apkiln.cli", "apkiln.cli.main"}
"""What `apkiln --version` may import of ours; of the standard library it may import nothing."""


def calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_rows_keep_their_promises(path: Path) -> None:
    row = path.relative_to(SOURCE).parts[0]
    if row in PURE:
        assert not calls(path) & {"open", "print", "input", "exec", "eval"}
    if row in QUIET:
        assert "print" not in calls(path)
        is_program = "__main__" in path.read_text()  # started as a process of its own
        assert is_program or "sys.exit" not in path.read_text()
    if row != "system" and row in QUIET:
        assert "open" not in calls(path), "files are opened in `system` only"
        assert "os.environ" not in path.read_text()


@pytest.mark.parametrize("path", sorted({p.parent for p in MODULES}), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_package_says_in_one_sentence_what_it_is(path: Path) -> None:
    text = ast.get_docstring(ast.parse((path / "__init__.py").read_text()))
    assert text and "\n\n" not in text and text.rstrip().endswith(".")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_packages_import_nothing_by_being_imported() -> None:
    for path in SOURCE.rglob("__init__.py"):
        tree = ast.parse(path.read_text())
        assert not [
            node
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom)) and getattr(node, "module", "") != "__future__"
        ], path


def imported_by(*arguments: str) -> set[str]:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from apkiln.cli.main import main\n"
        f"code = main({list(arguments)!r})\n"
        "sys.stderr.write('\\n'.join(sorted(set(sys.modules) - before)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stderr.split("\n"))


def test_version_starts_with_a_fixed_list_of_modules() -> None:
    assert imported_by("--version") <= START_MODULES_LIMIT


@pytest.mark.parametrize("banned", ["asyncio", "urllib3", "ssl", "rich", "cryptography", "yaml", "msgspec", "importlib.metadata"])
def test_overview_imports_nothing_heavy(banned: str) -> None:
    assert banned not in imported_by("--help")


def tracked_files() -> list[Path]:
    run = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run.stdout.split("\n") if name]


def test_no_registry_host_stands_in_the_repository() -> None:
    hosts = [
        one + two
        for one, two in (
            ("deb.debian", ".org"),
            ("pypi", ".org"),
            ("pythonhosted", ".org"),
            ("registry.npmjs", ".org"),
            ("proxy.golang", ".org"),
        )
    ]
    for path in tracked_files():
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            assert not [host for host in hosts if host in text], path


def test_links_between_documents_lead_somewhere() -> None:
    documents = [path for path in tracked_files() if path.suffix == ".md" and path.is_file()]
    for path in documents:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"


def test_the_import_contract_catches_a_violation(tmp_path: Path) -> None:
    """Seed an upward import in a copy of the tree and see the contract break."""
    import shutil

    copy = tmp_path / "src"
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (copy / "apkiln" / "core" / "seeded.py").write_text('"""Seeded."""\nimport apkiln.formats\nimport subprocess\n')
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin"}, check=False
    )
    assert run.returncode != 0
    assert "apkiln.core.seeded -> subprocess" in run.stdout.replace("\n", " ") or "seeded" in run.stdout
