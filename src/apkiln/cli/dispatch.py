"""From words to a command: table look-up, argument parsing, settings, and the error border."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from types import MappingProxyType, ModuleType

from apkiln.cli import exit_codes
from apkiln.cli.commands import COMMANDS, MELANGE_FILE_VERBS, MELANGE_LISTS, MELANGE_VERBS, NOUNS, SOURCE_VERBS
from apkiln.cli.context import Context
from apkiln.cli.output import Output, error_value, render_error
from apkiln.cli.reporting import choose_reporter
from apkiln.cli.settings import Settings, cache_directory
from apkiln.core import canonical_json
from apkiln.core.errors import ApkilnError, EnvironmentFault, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


# Our texts are English.  Looking for other words for argparse's few would load `locale` and search directories at every start.
argparse._ = lambda text: text  # type: ignore[attr-defined]


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal.  argparse makes a formatter for every argument; left alone, it loads compression libraries to
    learn the width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """`COLUMNS`, else the width of the terminal, else 80."""
    text = os.environ.get("COLUMNS", "")
    if text.isdecimal() and int(text):
        return int(text)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80 if sys.__stdout__ else 80
    except (OSError, ValueError):
        return 80


class _Parser(argparse.ArgumentParser):
    """Raises our UsageError instead of exiting."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, reason="bad-arguments", hint=f"see `{self.prog} --help`")

    def with_switches(self, words: list[str]) -> list[str]:
        """`--flag=true` and `--flag=false`, as users of apko and melange write them: with the `--no-` form where there is one,
        else without the flag that is off."""
        return [switched for word in words for switched in self._switch(word)]

    def _switch(self, word: str) -> list[str]:
        flag, _, value = word.partition("=")
        action = self._option_string_actions.get(flag)
        if value not in ("true", "false") or not isinstance(action, argparse.BooleanOptionalAction | argparse._StoreTrueAction):
            return [word]
        if value == "true":
            return [flag]
        return [f"--no-{flag.removeprefix('--')}"] if isinstance(action, argparse.BooleanOptionalAction) else []


def dispatch(words: list[str]) -> int:
    """Run the command named by `words`; never raises."""
    try:
        return _run(words)
    except ApkilnError as error:
        sys.stdout.flush()
        sys.stderr.write(_error_text(error, _before_double_dash(words)))
        return exit_codes.exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.OK
    except OSError as error:  # no space, no permission: the machine, not a bug
        fault = _environment_fault(error)
        sys.stderr.write(_error_text(fault, _before_double_dash(words)))
        return exit_codes.exit_code(fault)
    except Exception:
        import traceback

        sys.stderr.write(traceback.format_exc() + "error: this is a bug in apkiln; please report it with the lines above\n")
        return exit_codes.BUG


def _error_text(error: ApkilnError, words: list[str]) -> str:
    """As the words ask for it: one JSON line among others, a JSON document, or text."""
    if "--log-format=json" in words or "--log-format json" in " ".join(words):
        return canonical_json.encode({"event": "error", **error_value(error)}).decode() + "\n"
    if "--json" in words:
        return canonical_json.encode_pretty(error_value(error)).decode()
    return render_error(error, color=_color_allowed(sys.stderr))


def _before_double_dash(words: list[str]) -> list[str]:
    """The words up to the first `--`; what follows is a command for something else (`TAKES_COMMAND` of a module)."""
    return words[: words.index("--")] if "--" in words else words


def _environment_fault(error: OSError) -> EnvironmentFault:
    """An operating system error that no room below turned into one of ours."""
    place = f" `{os.fsdecode(error.filename)}`" if error.filename else ""
    return EnvironmentFault(f"{error.strerror or error}{place}", reason="operating-system")


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return exit_codes.OK if words else 2
    if words[0] == "completion":
        from apkiln.cli import completion

        sys.stdout.write(completion.script(words[1] if len(words) > 1 else "bash"))
        return exit_codes.OK
    given, words = words, _translated(words)
    if not words:
        _print_version(as_json="--json" in given)
        return exit_codes.OK
    noun = words[0]
    verbs = {verb: (module, help_line) for command_noun, verb, module, help_line in COMMANDS if command_noun == noun}
    if noun not in NOUNS:
        raise UsageError(f"unknown command `{noun}`", reason="unknown-command", hint=_nearest(noun, list(NOUNS)))
    if len(words) == 1 or words[1] in ("-h", "--help"):
        sys.stdout.write(_noun_help(noun))
        return exit_codes.OK if len(words) > 1 else 2
    verb, words = _verb(noun, words[1:], list(verbs))
    module = import_module(f"apkiln.cli.{verbs[verb][0]}")
    parser = command_parser(noun, verb, module)
    given = _before_double_dash(words) if getattr(module, "TAKES_COMMAND", False) else words
    if not {"-h", "--help"} & set(given):
        parser.usage = ""  # argparse would format it for messages that ours do not have
    arguments = parser.parse_intermixed_args(parser.with_switches(given))  # flags may stand between operands
    arguments.command = tuple(words[len(_before_double_dash(words)) + 1 :])
    context = _context(arguments)
    code: int = module.run(arguments, context)
    context.output.flush()
    return code


def _print_version(*, as_json: bool) -> None:
    from apkiln import __version__

    document = canonical_json.encode_pretty({"name": "apkiln", "version": __version__}).decode()
    sys.stdout.write(document if as_json else f"apkiln {__version__}\n")


def _verb(noun: str, words: list[str], verbs: list[str]) -> tuple[str, list[str]]:
    """The verb, which has one word or two, and the words behind it."""
    for length in (2, 1):
        verb = " ".join(words[:length])
        if verb in verbs:
            return verb, words[length:]
    below = [verb for verb in verbs if verb.startswith(f"{words[0]} ")]
    hint = "known: " + ", ".join(below) if below else _nearest(words[0], verbs)
    raise UsageError(
        f"unknown command `{noun} {' '.join(words[:2] if below else words[:1])}`", reason="unknown-command", hint=hint
    )


def command_parser(noun: str, verb: str, module: ModuleType) -> _Parser:
    """The parser of one command: its own arguments and the ones every command has."""
    parser = _Parser(
        prog=f"apkiln {noun} {verb}",
        description=module.HELP,
        epilog=module.EPILOG,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    add_common_arguments(parser)
    return parser


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that every command has, with one meaning everywhere."""
    group = parser.add_argument_group("every command")
    group.add_argument("--json", action="store_true", help="print data, and errors, as JSON")
    group.add_argument(
        "--cache-dir", metavar="DIR", help="cache directory (default: $APKILN_CACHE, else the user's cache directory)"
    )
    group.add_argument("--offline", action="store_true", help="open no socket; use only what is local or cached")
    group.add_argument("--jobs", type=_positive, metavar="N", help="worker threads (default: number of processors)")
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="progress, remarks and errors as text, or as JSON lines"
    )
    group.add_argument("-q", "--quiet", action="store_true", help="errors only")
    group.add_argument("-v", "--verbose", action="count", default=0, help="more detail; may be repeated")


def _translated(words: list[str]) -> list[str]:
    """`apko VERB …` and `melange VERB …` become the command of ours that takes the same arguments."""
    if words[0] not in ("apko", "melange") or len(_without_logging(words)) < 2:
        return words
    words = _without_logging(words)
    if words[0] == "apko":
        from apkiln.cli.apko_words import translated

        return translated(words[1:])
    verb = words[1]
    if verb in MELANGE_FILE_VERBS:
        return [*MELANGE_FILE_VERBS[verb].split(), *words[2:]]
    if verb not in MELANGE_VERBS:
        known = [*MELANGE_VERBS, *MELANGE_FILE_VERBS]
        raise UsageError(f"`melange {verb}` is not supported", reason="unknown-command", hint="known: " + ", ".join(known))
    # The cache of melange's is that of sources; ours, which every command has, is for everything else.
    rest = [word.replace("--cache-dir", "--source-cache") if verb in SOURCE_VERBS else word for word in _one_by_one(words[2:])]
    shape = ["--peer-json"] if verb == "compile" else []
    return ["package", *MELANGE_VERBS[verb].split(), *shape, *rest]


def _one_by_one(words: list[str]) -> list[str]:
    """Values that melange takes between commas, each with its flag."""
    found: list[str] = []
    flag = ""
    for word in words:
        name, equals, values = word.partition("=")
        if flag:
            found += [part for value in word.split(",") for part in (flag, value)]
        elif equals and name in MELANGE_LISTS:
            found += [part for value in values.split(",") for part in (name, value)]
        elif word not in MELANGE_LISTS:
            found.append(word)
        flag = word if not flag and word in MELANGE_LISTS else ""
    return [*found, flag] if flag else found


def _without_logging(words: list[str]) -> list[str]:
    """Without the flags by which the other tools say how much they log, and where to: ours are `-q` and `-v`."""
    kept: list[str] = []
    skip = False
    for word in words:
        flag = word.partition("=")[0] in ("--log-level", "--log-policy")
        if not skip and not flag and word != "--gcplog":
            kept.append(word)
        skip = flag and "=" not in word
    return kept


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _context(arguments: argparse.Namespace) -> Context:
    environment = MappingProxyType(dict(os.environ))
    verbosity = -1 if arguments.quiet else arguments.verbose
    settings = Settings(
        working_directory=os.getcwd(),
        cache_directory=os.path.abspath(cache_directory(environment, arguments.cache_dir)),
        environment=environment,
        offline=arguments.offline,
        jobs=arguments.jobs or len(os.sched_getaffinity(0)),
        verbosity=verbosity,
        json=arguments.json,
        color=_color_allowed(sys.stderr),
    )
    return Context(settings, choose_reporter(sys.stderr, verbosity, arguments.log_format), Output(sys.stdout), sys.stderr)


def _color_allowed(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _nearest(word: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean `{close[0]}`?" if close else "known: " + ", ".join(known)


def _overview() -> str:
    lines = [
        "apkiln makes Linux packages, repositories and minimal images, with every byte accounted for.",
        "",
        "usage: apkiln NOUN VERB [ARGUMENTS]      apkiln NOUN --help      apkiln NOUN VERB --help",
        "",
    ]
    for noun, summary in NOUNS.items():
        lines += [f"{noun:8} {summary}", *_rows(noun)]
    lines += ["", "apkiln --version       the version", "apkiln completion SHELL  completion for bash, zsh or tcsh"]
    return "\n".join(lines) + "\n"


def _noun_help(noun: str) -> str:
    return "\n".join([f"apkiln {noun}: {NOUNS[noun]}", "", *_rows(noun), "", f"see `apkiln {noun} VERB --help`"]) + "\n"


def _rows(noun: str) -> list[str]:
    """A line for each verb of a noun, the texts below each other."""
    verbs = [(verb, text) for command_noun, verb, _, text in COMMANDS if command_noun == noun]
    width = max(10, *(len(verb) for verb, _ in verbs))
    return [f"  {verb:{width}} {text}" for verb, text in verbs]
