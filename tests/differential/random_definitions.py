"""Random package definitions and the pipelines they use: one case a seed, as text (spec package.md §3, §4).

Each case is put together from fragments that touch one rule of the language each; a share of the cases has one thing wrong.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

Node = Any
"""A tree of dict, list, text and `Raw`."""


class Raw(str):
    """A scalar that is written without quotes."""

    __slots__ = ()


class DefinitionCase(NamedTuple):
    """What both programs get."""

    identifier: str
    text: str
    pipelines: dict[str, str]
    """Named pipelines beside the built-in ones, by name."""
    arch: str
    options: tuple[str, ...]
    broken: str
    """What is wrong on purpose; empty when nothing is."""


VERSIONS = (Raw("1.10"), Raw("2301"), Raw("0x10"), Raw("1e3"), "1.2.3", "3.12.1_rc1", Raw("2024-01-02"), "1.0.0a", Raw("0.5_p1"))
"""Spellings that a loader of YAML may spoil."""
CONDITIONS = (
    "${{build.arch}} == 'x86_64'",
    "${{build.arch}} != 'x86_64'",
    '${{build.arch}} == "aarch64"',
    "'${{vars.one}}' == '1'",
    "'a' == 'a' && '${{vars.one}}' != 'x'",
    "('${{vars.one}}' == 'y' || 'a' == 'b') && 'c' == 'c'",
    "  'a'=='a'  ",
    "'${{package.version}}' == '1.10'",
    "'${{package.name}}' == \"demo\"",
    "${{options.extra.enabled}} == 'true'",
)
WORDS = (
    "${{package.name}}", "${{package.version}}", "${{package.full-version}}", "${{package.epoch}}", "${{vars.one}}",
    "${{vars.two}}", "x-${{vars.one}}-y", "plain", "${{vars.one}}${{vars.two}}",
)  # fmt: skip
LATE_WORDS = (
    "${{build.arch}}", "${{build.goarch}}", "${{targets.destdir}}/usr", "${{targets.contextdir}}", "${{targets.outdir}}",
    "${{host.triplet.gnu}}", "${{host.triplet.rust}}", "${{cross.triplet.gnu.musl}}", "${{cross.triplet.rust.glibc}}",
    "${{package.srcdir}}", "${{context.name}}", "${{targets.package.demo}}", "${{ package.name }}", "${{ build.arch }}",
    "${{options.extra.enabled}}",
)  # fmt: skip
SCRIPTS = (
    "echo {}\n", "# a comment\necho {} # more\n", "make DESTDIR={} install", "if [ -n \"{}\" ]; then\n  echo yes\nfi\n",
    "cat > file <<EOF\n# kept {}\nEOF\n", "for i in {} b; do\n  echo \"$i\" '#no comment'\ndone",
    "a={} ; b=$((1 + 2))\necho ${{a}}",
    "echo \"{}\" | sed 's/#/x/' > out\n", "case \"{}\" in\n  a) echo 1 ;;\n  *) echo 2 ;;\nesac\n", "f() {{ echo {}; }}\nf",
)  # fmt: skip
TRANSFORMS = (
    (r"^(\d+)\.(\d+).*", "${1}_$2"), (r"\.", "_"), (r"(\d+)", "<$1>"), (r"^(?P<major>\d+).*$", "${major}"), (r"[._-]", ""),
    (r"^v?(.*)$", "v$1"), (r"(\d)\.?", r"\$1-"), (r"x*", "-"), (r"[[:digit:]]+", "N"), (r"(?i)RC", "r"), (r"\d+$", "$0$$"),
    (r"^(\w+)-(\w+)$", "$2_$1"), (r"(a|1)(b)?", "[$1|$2]"), (r"\bdemo\b", "$name"), (r"nothing", "x"), (r"^", ">"),
)  # fmt: skip
USES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("fetch", {"uri": "https://example.org/${{package.name}}-${{package.version}}.tar.gz", "expected-sha256": "a" * 64}),
    ("fetch", {"uri": "https://example.org/x.tgz", "expected-sha512": "B" * 128, "delete": Raw("true")}),
    ("git-checkout", {"repository": "https://example.org/x.git", "tag": "v${{package.version}}", "expected-commit": "c" * 40}),
    ("git-checkout", {"repository": "https://example.org/x.git", "branch": "main", "destination": "${{vars.one}}"}),
    ("autoconf/configure", {}),
    ("autoconf/configure", {"opts": "--prefix=/opt --with-x=${{vars.one}}\n--host=${{host.triplet.gnu}}"}),
    ("autoconf/make", {"opts": "", "dir": "sub"}),
    ("autoconf/make-install", {}),
    ("cmake/configure", {"opts": "-DX=${{targets.destdir}}"}),
    ("meson/compile", {}),
    ("go/build", {"packages": "./cmd/x", "output": "x", "vendor": Raw("true"), "go-package": "go-${{vars.one}}"}),
    ("go/build/v2", {"packages": "."}),
    ("go/bump", {"deps": "a@1 b@2"}),
    ("cargo/build", {"output": "x"}),
    ("npm/install", {"package": "left-pad", "version": "${{package.version}}"}),
    ("patch", {"patches": "a.patch b.patch"}),
    ("patch", {"series": "series", "fuzz": Raw("0")}),
    ("python/import", {"imports": "import x  # y\nfrom a import b\n"}),
    ("ruby/build", {"gem": "${{package.name}}"}),
    ("ruby/install", {"gem": "${{package.name}}", "version": "${{package.version}}"}),
    ("perl/make", {}),
    ("R/build", {"package": "x", "version": "1"}),
    ("pecl/install", {"extension": "x"}),
    ("split/manpages", {"package": "${{package.name}}"}),
    ("strip", {}),
    ("strip", {"opts": "-S"}),
)  # fmt: skip
WRONG: tuple[tuple[str, tuple[str, ...], Node], ...] = (
    ("unknown key", ("package", "nmae"), "x"),
    ("unknown top key", ("pipelines",), []),
    ("unknown step key", ("pipeline", "0", "run"), "x"),
    ("name", ("package", "name"), "-x"),
    ("name with blank", ("package", "name"), "a b"),
    ("no name", ("package", "name"), ""),
    ("no version", ("package", "version"), ""),
    ("epoch", ("package", "epoch"), Raw("-1")),
    ("epoch text", ("package", "epoch"), "x"),
    ("list for text", ("package", "description"), ["a"]),
    ("text for list", ("package", "dependencies"), {"runtime": "a"}),
    ("map for list", ("pipeline",), {"runs": "x"}),
    ("priority", ("package", "dependencies"), {"provider-priority": "x"}),
    ("unknown variable in runs", ("pipeline", "0", "runs"), "echo ${{vars.none}}"),
    ("unknown variable in dependency", ("package", "dependencies"), {"runtime": ["${{vars.none}}"]}),
    ("unknown variable in provides", ("package", "dependencies"), {"provides": ["${{nothing}}"]}),
    ("unknown variable in packages", ("environment", "contents", "packages"), ["${{vars.none}}"]),
    ("unterminated", ("pipeline", "0", "runs"), "echo ${{vars.one"),
    ("unknown pipeline", ("pipeline", "0"), {"uses": "no/such"}),
    ("outside", ("pipeline", "0"), {"uses": "../x"}),
    ("uses and runs", ("pipeline", "0"), {"uses": "strip", "runs": "x"}),
    ("with alone", ("pipeline", "0"), {"with": {"a": "b"}}),
    ("with and runs", ("pipeline", "0"), {"with": {"a": "b"}, "runs": "x"}),
    ("unknown input", ("pipeline", "0"), {"uses": "strip", "with": {"optz": "x"}}),
    ("missing input", ("pipeline", "0"), {"uses": "fetch", "with": {"expected-none": "x"}}),
    ("empty input", ("pipeline", "0"), {"uses": "fetch", "with": {"uri": ""}}),
    ("short digest", ("pipeline", "0"), {"uses": "fetch", "with": {"uri": "x", "expected-sha256": "abc"}}),
    ("no digest", ("pipeline", "0"), {"uses": "git-checkout", "with": {"repository": "x", "expected-commit": "zz" * 20}}),
    ("condition", ("pipeline", "0", "if"), "a == b"),
    ("condition without value", ("pipeline", "0", "if"), "'a' =="),
    ("condition with rest", ("pipeline", "0", "if"), "'a' == 'a' 'b'"),
    ("condition operator", ("pipeline", "0", "if"), "'a' = 'a'"),
    ("condition variable", ("pipeline", "0", "if"), "${{vars.none}} == 'a'"),
    ("undefined range", ("subpackages",), [{"name": "x-${{range.key}}", "range": "none"}]),
    ("same names", ("subpackages",), [{"name": "same"}, {"name": "same"}]),
    ("name of the package", ("subpackages",), [{"name": "demo"}]),
    ("subpackage name", ("subpackages",), [{"name": "a/b"}]),
    ("cpe", ("package", "cpe"), {"vendor": "x"}),
    ("cpe star", ("package", "cpe"), {"vendor": "*", "product": "x"}),
    ("cpe case", ("package", "cpe"), {"vendor": "X", "product": "x"}),
    ("setcap without reason", ("package", "setcap"), [{"path": "/bin/x", "add": {"cap_net_raw": "+ep"}}]),
    ("setcap name", ("package", "setcap"), [{"path": "/bin/x", "add": {"cap_nothing": "+ep"}, "reason": "r"}]),
    ("transform expression", ("var-transforms",), [{"from": "a", "match": "(", "replace": "b", "to": "c"}]),
    ("transform without to", ("var-transforms",), [{"from": "a", "match": "a", "replace": "b"}]),
    ("schedule", ("update", "schedule"), {"period": "yearly"}),
    ("timeout", ("package", "timeout"), "5 minutes"),
    ("pipeline list of text", ("pipeline",), ["make"]),
    ("working directory number", ("pipeline", "0", "working-directory"), ["x"]),
    ("undeclared arch", ("package", "target-architecture"), ["s390x"]),
)  # fmt: skip


def make_definition(seed: int, broken: float = 0.25) -> DefinitionCase:
    """The case of a seed; equal on every machine and run.  `broken`: share of cases with something wrong."""
    return _Maker(seed).case(broken)


@dataclass
class _Maker:
    seed: int
    random: random.Random = field(init=False)
    pipelines: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(f"definition-{self.seed}")

    def case(self, broken: float) -> DefinitionCase:
        tree = self._definition()
        wrong = ""
        if self.random.random() < broken:
            wrong, path, value = self.random.choice(WRONG)
            _put(tree, path, value)
        arch = self.random.choice(("x86_64", "x86_64", "aarch64", "armv7", "riscv64"))
        options = ("extra",) if self.random.random() < 0.3 else ()
        return DefinitionCase(f"definition-{self.seed}", written(tree), self.pipelines, arch, options, wrong)

    def _definition(self) -> dict[str, Node]:
        tree: dict[str, Node] = {
            "package": self._package(),
            "vars": {
                "one": self.random.choice((Raw("1"), "1", "y", Raw("1.50"))),
                "two": self.random.choice(("b", "", Raw("true"))),
            },
            "options": {"extra": {"environment": {"contents": {"packages": {"add": ["extra-tool"], "remove": ["make"]}}}}},
        }
        self._maybe(tree, "environment", self._environment, 0.8)
        self._maybe(tree, "var-transforms", self._transforms, 0.5)
        tree["pipeline"] = self._steps(0, self.random.randint(1, 4), False)
        self._maybe(tree, "data", self._data, 1.0)
        self._maybe(tree, "subpackages", self._subpackages, 0.6)
        self._maybe(tree, "test", lambda: self._test(False), 0.4)
        self._maybe(tree, "update", self._update, 0.3)
        self._maybe(tree, "capabilities", lambda: {"add": ["CAP_NET_ADMIN"], "drop": ["CAP_KILL"]}, 0.1)
        return tree

    def _maybe(self, tree: dict[str, Node], key: str, make: Any, share: float) -> None:
        if self.random.random() < share:
            tree[key] = make()

    def _word(self) -> str:
        return self.random.choice(WORDS)

    def _any_word(self) -> str:
        return self.random.choice((*WORDS, *LATE_WORDS))

    def _package(self) -> dict[str, Node]:
        package: dict[str, Node] = {
            "name": "demo",
            "version": self.random.choice(VERSIONS),
            "epoch": Raw(str(self.random.randint(0, 9))),
        }
        self._maybe(
            package, "description", lambda: self.random.choice(("text", Raw("193"), "of ${{package.name}} ${{vars.one}}")), 0.8
        )
        self._maybe(package, "url", lambda: "https://example.org/" + self._word().replace(" ", "-"), 0.3)
        self._maybe(package, "commit", lambda: "f" * 40, 0.1)
        self._maybe(package, "annotations", lambda: {"a": "${{vars.one}}", "b": Raw("1.0")}, 0.2)
        self._maybe(package, "copyright", self._copyright, 0.8)
        self._maybe(package, "dependencies", self._dependencies, 0.5)
        self._maybe(package, "options", lambda: {"no-provides": Raw("true"), "no-commands": Raw("false")}, 0.2)
        self._maybe(package, "scriptlets", self._scriptlets, 0.2)
        self._maybe(package, "checks", lambda: {"disabled": ["empty", "usrlocal"]}, 0.1)
        self._maybe(package, "cpe", lambda: {"vendor": "x", "product": "y-z", "target_sw": "node.js"}, 0.1)
        self._maybe(
            package, "setcap", lambda: [{"path": "/usr/bin/x", "add": {"cap_net_raw,cap_net_admin": "+eip"}, "reason": "r"}], 0.1
        )
        self._maybe(package, "timeout", lambda: Raw(self.random.choice(("1h30m", "45s", "1m0.5s"))), 0.1)
        self._maybe(package, "resources", lambda: {"cpu": Raw("4"), "memory": "8Gi", "disk": Raw("50Gi")}, 0.2)
        self._maybe(package, "test-resources", lambda: {"cpu": Raw("1")}, 0.1)
        self._maybe(
            package, "target-architecture", lambda: self.random.choice((["all"], ["x86_64", "aarch64", "armv7", "riscv64"])), 0.1
        )
        return package

    def _copyright(self) -> Node:
        rows: list[dict[str, Node]] = [{"license": self.random.choice(("MIT", "GPL-2.0-or-later OR MIT", "My ${{vars.one}}"))}]
        self._maybe(rows[0], "paths", lambda: ["*"], 0.5)
        self._maybe(rows[0], "attestation", lambda: "Copyright ${{vars.one}}\nAll\n", 0.3)
        self._maybe(rows[0], "license-path", lambda: "${{vars.one}}/LICENSE", 0.2)
        self._maybe(rows[0], "detection-override", lambda: "MIT", 0.1)
        return rows

    def _dependencies(self) -> Node:
        found: dict[str, Node] = {}
        self._maybe(
            found, "runtime", lambda: ["a", "${{package.name}}-x=${{package.full-version}}", "b~${{vars.one}}", "so:c.so.1"], 0.8
        )
        self._maybe(found, "provides", lambda: ["v=${{package.version}}", "cmd:x"], 0.5)
        self._maybe(found, "replaces", lambda: ["old<${{package.full-version}}"], 0.3)
        self._maybe(found, "provider-priority", lambda: self.random.choice((Raw("10"), "${{package.epoch}}", Raw("0"))), 0.3)
        self._maybe(found, "replaces-priority", lambda: Raw("5"), 0.2)
        return found

    def _scriptlets(self) -> Node:
        found: dict[str, Node] = {
            "trigger": {"script": "#!/bin/sh\necho ${{vars.one}}\n", "paths": ["/usr/${{package.name}}", "/b"]}
        }
        for name in ("pre-install", "post-install", "pre-upgrade", "post-deinstall"):
            self._maybe(found, name, lambda: f"#!/bin/sh\n# c\necho {self._word()}\n", 0.4)
        return found

    def _environment(self) -> Node:
        packages = self.random.sample(["busybox", "make", "a~1", "${{package.name}}-tool", "t-${{vars.one}}", "b@tag", "make"], 4)
        found: dict[str, Node] = {"contents": {"packages": packages}}
        self._maybe(found["contents"], "repositories", lambda: ["https://example.org/r"], 0.2)
        self._maybe(found["contents"], "keyring", lambda: ["https://example.org/k.pub"], 0.2)
        self._maybe(
            found, "environment", lambda: {"A": self._word(), "N": Raw("1.0"), "HOME": self.random.choice(("", "/x"))}, 0.4
        )
        self._maybe(found, "accounts", self._accounts, 0.2)
        return found

    def _accounts(self) -> Node:
        users = [{"username": "u", "uid": Raw("12345"), "gid": Raw("12346")}, {"username": "v", "uid": Raw("7")}]
        groups = [{"groupname": "g", "gid": Raw("12346"), "members": ["u"]}]
        found: dict[str, Node] = {"run-as": self.random.choice(("u", "root", Raw("0"), "build")), "users": users}
        self._maybe(found, "groups", lambda: groups, 0.5)
        return found

    def _transforms(self) -> Node:
        rows = []
        for number in range(self.random.randint(1, 3)):
            source = self.random.choice(
                ("${{package.version}}", "${{package.name}}", "${{vars.one}}", "${{vars.t0}}" if number else "x.y-1")
            )
            match, replace = self.random.choice(TRANSFORMS)
            rows.append({"from": source, "match": match, "replace": replace, "to": f"t{number}"})
        return rows

    def _data(self) -> Node:
        return [
            {"name": "things", "items": {"b": "2", "a": Raw("1.10"), "c": "${{vars.one}}", Raw("10"): "ten"}},
            {"name": "one", "items": {"k": Raw("true")}},
        ]

    def _steps(self, depth: int, count: int, inside_sub: bool) -> list[Node]:
        return [self._step(depth, inside_sub) for _ in range(count)]

    def _step(self, depth: int, inside_sub: bool) -> dict[str, Node]:
        step: dict[str, Node] = {}
        self._maybe(step, "if", lambda: self.random.choice(CONDITIONS), 0.3)
        self._maybe(step, "name", lambda: self.random.choice(("step", "step ${{package.name}}")), 0.2)
        self._maybe(step, "label", lambda: "here", 0.1)
        kind = self.random.random()
        if kind < 0.35:
            name, inputs = self.random.choice(USES)
            step |= {"uses": name} | ({"with": inputs} if inputs else {})
        elif kind < 0.5:
            step |= self._named(depth)
        elif kind < 0.6 and depth < 2:
            step["pipeline"] = self._steps(depth + 1, self.random.randint(1, 2), inside_sub)
            self._maybe(step, "assertions", lambda: {"required-steps": Raw("1")}, 0.2)
        else:
            words = (*WORDS, *LATE_WORDS, *(("${{targets.subpkgdir}}", "${{subpkg.name}}") if inside_sub else ()))
            step["runs"] = self.random.choice(SCRIPTS).format(self.random.choice(words))
        self._maybe(
            step, "working-directory", lambda: self.random.choice(("sub", "/abs", "${{vars.one}}/x", "${{targets.destdir}}")), 0.2
        )
        self._maybe(step, "environment", lambda: {"E": self._any_word(), "F": Raw("1")}, 0.15)
        self._maybe(step, "needs", lambda: {"packages": ["need-${{vars.one}}", "n2"]}, 0.1)
        return step

    def _named(self, depth: int) -> dict[str, Node]:
        """A step that uses a pipeline made for it."""
        name = f"own/p{len(self.pipelines)}"
        self.pipelines[name] = ""
        inputs: dict[str, Node] = {"must": {"required": Raw("true"), "description": "d"}}
        self._maybe(inputs, "plain", lambda: {"default": self.random.choice(("x", Raw("1.0"), "${{package.name}}"))}, 0.7)
        self._maybe(inputs, "made", lambda: {"default": "${{inputs.must}}-${{build.arch}}"}, 0.6)
        self._maybe(inputs, "none", dict, 0.3)
        file: dict[str, Node] = {"name": "file", "inputs": inputs}
        known = "${{inputs.must}} " + " ".join(f"${{{{inputs.{one}}}}}" for one in inputs if one != "must")
        self._maybe(file, "needs", lambda: {"packages": ["tool", "tool-${{inputs.must}}"]}, 0.6)
        self._maybe(file, "working-directory", lambda: "/file", 0.1)
        self._maybe(file, "environment", lambda: {"P": "p"}, 0.1)
        children: list[Node] = [{"runs": self.random.choice(SCRIPTS).format(known)}]
        if self.random.random() < 0.5:
            condition = "${{inputs.must}} == '" + self.random.choice(("v", "demo")) + "'"
            children.append({"if": condition, "runs": "echo ${{inputs.must}}", "needs": {"packages": ["conditional"]}})
        if depth < 2 and self.random.random() < 0.4:
            inner = self._named(depth + 1)
            inner["with"] = {"must": self.random.choice(("${{inputs.must}}", "${{inputs.must}}-in", "fixed"))}
            children.append(inner)
        file["pipeline"] = children
        self.pipelines[name] = written(file)
        given: dict[str, Node] = {
            "must": self.random.choice(("v", "${{package.name}}", "${{vars.one}}", "${{build.arch}}", Raw("1.10")))
        }
        if "plain" in inputs:
            self._maybe(given, "plain", lambda: self.random.choice(("x", "", "other", "${{vars.one}}")), 0.5)
        if "made" in inputs:
            self._maybe(given, "made", lambda: self.random.choice(("given", "${{inputs.must}}")), 0.3)
        return {"uses": name, "with": given}

    def _subpackages(self) -> list[Node]:
        return [self._subpackage(number) for number in range(self.random.randint(1, 3))]

    def _subpackage(self, number: int) -> dict[str, Node]:
        ranged = self.random.random() < 0.4
        row: dict[str, Node] = {"name": f"${{{{package.name}}}}-{number}"}
        extra: tuple[str, ...] = ()
        if ranged:
            row["range"] = self.random.choice(("things", "one"))
            row["name"] = f"s{number}-${{{{range.key}}}}"
            extra = ("${{range.key}}", "v-${{range.value}}")
        word = partial(self.random.choice, (*WORDS, *extra))
        self._maybe(row, "description", lambda: "d " + word(), 0.6)
        self._maybe(
            row,
            "dependencies",
            lambda: {"runtime": ["r-" + word().replace(" ", "-")], "provides": ["p=${{package.full-version}}"]},
            0.4,
        )
        self._maybe(row, "pipeline", lambda: self._steps(0, 2, True), 0.8)
        self._maybe(row, "options", lambda: {"no-depends": Raw("true")}, 0.2)
        self._maybe(row, "scriptlets", lambda: {"post-install": "#!/bin/sh\necho " + word() + "\n"}, 0.2)
        self._maybe(row, "annotations", lambda: {"x": word()}, 0.1)
        self._maybe(row, "url", lambda: "https://example.org/" + word().replace(" ", "-"), 0.1)
        self._maybe(row, "checks", lambda: {"disabled": ["empty"]}, 0.1)
        self._maybe(row, "test", lambda: self._test(True), 0.3)
        if "pipeline" in row and extra and self.random.random() < 0.5:
            row["pipeline"].append({"if": "'${{range.key}}' == 'a'", "runs": f"echo {word()}"})
        return row

    def _test(self, inside_sub: bool) -> Node:
        found: dict[str, Node] = {"pipeline": self._steps(0, self.random.randint(1, 2), inside_sub)}
        self._maybe(found, "environment", lambda: {"contents": {"packages": ["t", "t-${{vars.one}}", "demo"]}}, 0.6)
        if "environment" in found:
            self._maybe(found["environment"], "environment", lambda: {"T": self._word()}, 0.3)
        return found

    def _update(self) -> Node:
        found: dict[str, Node] = {"enabled": Raw("true")}
        monitors: tuple[tuple[str, Node], ...] = (
            ("github", {"identifier": "a/${{package.name}}", "strip-prefix": "v", "use-tag": Raw("true"), "tag-filter": "v"}),
            ("release-monitor", {"identifier": Raw("123"), "version-filter-prefix": "1"}),
            ("git", {}),
            ("git", {"strip-prefix": "v", "tag-filter-contains": "x"}),
            ("oci", {"identifier": "example.org/x", "strip-suffix": "-r"}),
        )
        name, monitor = self.random.choice(monitors)
        found[name] = monitor
        self._maybe(found, "manual", lambda: Raw("true"), 0.2)
        self._maybe(found, "version-separator", lambda: "_", 0.2)
        self._maybe(found, "ignore-regex-patterns", lambda: ["^x", r".*-rc\d"], 0.3)
        self._maybe(found, "version-transform", lambda: [{"match": r"^(\d)", "replace": "$1"}], 0.2)
        self._maybe(found, "schedule", lambda: {"period": "daily", "reason": "r"}, 0.2)
        return found


def _put(tree: Node, path: tuple[str, ...], value: Node) -> None:
    """Set what lies at `path`; what is missing on the way is made."""
    *way, last = path
    for part in way:
        if isinstance(tree, list):
            tree = tree[int(part)]
            continue
        inner = tree.get(part)
        if not isinstance(inner, dict | list):
            inner = tree[part] = {}
        tree = inner
    if isinstance(tree, list):
        tree[int(last)] = value
    else:
        tree[last] = value


def written(tree: Node, indent: int = 0) -> str:
    """The tree as YAML."""
    return "".join(f"{' ' * indent}{line}\n" for line in _lines(tree))


def _lines(tree: Node) -> list[str]:
    if isinstance(tree, dict) and tree:
        found = []
        for key, value in tree.items():
            head = f"{_scalar(key)}:"
            if isinstance(value, dict | list) and value:
                found += [head, *(f"  {line}" for line in _lines(value))]
            elif isinstance(value, str) and not isinstance(value, Raw) and _is_block(value):
                found += [f"{head} |", *(f"  {line}" if line else "" for line in value.splitlines())]
            else:
                found.append(f"{head} {_scalar(value)}")
        return found
    if isinstance(tree, list) and tree:
        found = []
        for item in tree:
            first, *rest = _lines(item) if isinstance(item, dict | list) and item else [_scalar(item)]
            found += [f"- {first}", *(f"  {line}" for line in rest)]
        return found
    return [_scalar(tree)]


def _is_block(text: str) -> bool:
    return text.endswith("\n") and not text.startswith(("\n", " ")) and not text.endswith("\n\n")


def _scalar(value: Node) -> str:
    if isinstance(value, Raw):
        return str(value)
    if (
        isinstance(value, str)
        and value.replace("-", "").replace("_", "").isalpha()
        and value not in ("true", "false", "null", "y", "n")
    ):
        return value
    return json.dumps(value)
