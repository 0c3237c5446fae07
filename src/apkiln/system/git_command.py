"""The git program, cut off from the settings of the machine and its user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from apkiln.core.errors import ApkilnError, EnvironmentFault, UnavailableError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.system.credentials import parse_http_auth
from apkiln.system.process import Command, Completed, Runner

TIMEOUT = 1800.0
_PASSED_ON = (
    "HOME", "PATH", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "GIT_SSH_COMMAND",
)  # fmt: skip
_NEVER_AGAIN = ("not found", "does not exist", "Authentication failed", "could not read Username", "Permission denied")


class GitCommand:
    """Runs git without hooks, prompts, background work and configuration files; of the environment only what reaches servers
    is passed on, and the logins of `HTTP_AUTH`; git itself reads netrc."""

    def __init__(self, runner: Runner, environment: Mapping[str, str]) -> None:
        self._runner = runner
        passed = {name: environment[name] for name in _PASSED_ON if name in environment}
        fixed = {
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
            "GIT_NO_LAZY_FETCH": "1",
        }
        logins = _logins(environment.get("HTTP_AUTH", ""))
        self._environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **passed, **fixed, **logins}

    def run(
        self,
        repository: PurePath | None,
        words: Sequence[str],
        stdin: bytes = b"",
        *,
        work_tree: PurePath | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Completed:
        """An exit code that is not zero is an answer.  `more`: further variables.  EnvironmentFault `missing-program`."""
        place: tuple[str, ...] = ("--git-dir", str(repository)) if repository is not None else ()
        place += ("-C", str(work_tree)) if work_tree is not None else ()
        settings = ("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "safe.directory=*")
        environment = tuple(sorted({**self._environment, **(more or {})}.items()))
        command = Command(("git", *place, *settings, *words), environment, stdin=stdin, output_limit=64 * MIB, timeout=TIMEOUT)
        try:
            return self._runner.run(command)
        except EnvironmentFault as fault:
            if fault.reason == "missing-program":
                fault.hint = "`git-checkout` steps need the git program"
            raise

    def checked(
        self,
        repository: PurePath | None,
        *words: str,
        stdin: bytes = b"",
        work_tree: PurePath | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Completed:
        """As `run`; UnavailableError `git-failed` when it fails."""
        done = self.run(repository, words, stdin, work_tree=work_tree, more=more)
        if done.exit_code:
            raise git_failed(str(repository or work_tree or ""), done)
        return done


def _logins(text: str) -> dict[str, str]:
    """Settings that send what `HTTP_AUTH` says to its hosts, in variables, where no other process sees them."""
    entries = [entry for entry in parse_http_auth(text) if entry.host]
    found = {"GIT_CONFIG_COUNT": str(len(entries))} if entries else {}
    for number, entry in enumerate(entries):
        port = f":{entry.port}" if entry.port else ""
        found[f"GIT_CONFIG_KEY_{number}"] = f"http.https://{entry.host}{port}/.extraHeader"
        found[f"GIT_CONFIG_VALUE_{number}"] = f"Authorization: {entry.authorization.reveal()}"
    return found


def git_failed(location: str, done: Completed) -> ApkilnError:
    """What git said, without credentials."""
    lines = [_redacted(line) for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()][-10:]
    shown = redact_url(location)
    what = lines[-1].removeprefix("fatal: ") if lines else f"exit code {done.exit_code}"
    local = "://" not in location or location.startswith("file:")
    final = local or any(word in line for line in lines for word in (*_NEVER_AGAIN, "find remote ref"))
    return UnavailableError(f"git: {what}", reason="git-failed", origin=Origin(source=shown), retriable=not final, details=lines)


def _redacted(line: str) -> str:
    """A line of git's with the user part of URLs taken out."""
    return " ".join(redact_url(word) if "://" in word else word for word in line.split(" "))
