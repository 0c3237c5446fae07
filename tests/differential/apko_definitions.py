"""Random image definitions over the repositories of `apko_packages`, most of them right, some wrong on purpose."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

Value = dict[str, Any]


class Octal(int):
    """A number that is written in octal, in one of its two spellings."""


class _Dumper(yaml.SafeDumper):
    pass


def _octal(dumper: yaml.SafeDumper, value: Octal) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", f"octal-0{'o' * (value % 2)}{value:o}")


_Dumper.add_representer(Octal, _octal)


def text_of(value: Value) -> str:
    """YAML."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True).replace("octal-", "")


@dataclass(slots=True)
class Definition:
    """One case: the files beside `apko.yaml`, flags and environment."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    tag: str = "apkiln.test/random:latest"


COMMANDS = (
    "serve",
    'a "b c" d',
    "'x y' z\\ w",
    "$HOME ~ *",
    "--flag=1 -- -x",
    '""',
    "a\tb\n c",
    "a#b # c",
    "a;b|c&",
    "'it'\\''s'",
)
ENVIRONMENT = {
    "A": "1", "B": "x y", "EMPTY": "", "QUOTED": 'a "b"', "UMLAUT": "ü & <x>", "PATH": "/only", "SSL_CERT_FILE": "/x.pem",
    "LF": "a\nb", "EQ": "a=b", "z": "low", "N": 1.1, "I": 7, "T": True,
}  # fmt: skip
ANNOTATIONS = {
    "org.opencontainers.image.title": "Title", "org.opencontainers.image.vendor": "Vendor",
    "org.opencontainers.image.created": "no",
    "org.opencontainers.image.source": "https://x", "custom/Key_a": "<&>", "empty": "", "u": "名",
}  # fmt: skip
CONSTRAINTS = ("=1.0-r0", ">1.0", "<2", ">=1.2-r0", "~1.10", "=~1", "<=1.10-r0", "=2.0_rc1-r0")
ARCHS = (["x86_64"], ["x86_64"], ["amd64"], ["x86_64", "aarch64"], ["arm64", "amd64"], ["aarch64"])


class DefinitionMaker:
    """Draws definitions; equal seeds give equal ones."""

    def __init__(self, seed: str, packages: list[str], certificate: str, key: str) -> None:
        self.random = random.Random(seed)
        self._packages = packages
        self._certificate = certificate
        self._key = key
        self._chosen = packages

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def make(self, name: str) -> Definition:
        made = Definition(name)
        value = self._value()
        if self.chance(0.2):
            value = self._split(value, made)
        self._flags(made)
        if self.chance(0.15):
            self._spoil(value)
        made.files["apko.yaml"] = text_of(value)
        return made

    # --- right definitions ---

    def _value(self) -> Value:
        value: Value = {"contents": self._contents()}
        parts: list[tuple[str, float, Callable[[], Any]]] = [
            ("entrypoint", 0.5, self._entrypoint),
            ("cmd", 0.3, lambda: self.random.choice(COMMANDS)),
            ("stop-signal", 0.2, lambda: self.random.choice(("SIGTERM", "SIGQUIT", "9"))),
            ("work-dir", 0.2, lambda: self.random.choice(("/srv", "srv", "/", "/no/such"))),
            ("accounts", 0.4, self._accounts),
            ("environment", 0.4, self._environment),
            ("paths", 0.5, self._paths),
            ("vcs-url", 0.1, lambda: self.random.choice(("https://git.example.com/p@0123abc", "https://git.example.com/p"))),
            ("annotations", 0.3, self._annotations),
            ("volumes", 0.2, lambda: self.random.choice((["/data"], ["/data", "/b", "/data"], []))),
            ("layering", 0.35, self._layering),
            ("certificates", 0.2, self._certificates),
        ]  # fmt: skip
        value["archs"] = self.random.choice(ARCHS)
        for key, share, make in parts:
            if self.chance(share):
                value[key] = make()
        return value

    def _contents(self) -> Value:
        first = self.random.choice(("./repos/main", "./repos/main", "repos/main", "./repos/main/"))
        contents: Value = {"keyring": ["./keys/main.rsa.pub"], "repositories": [first], "packages": self._requests()}
        kind = self.random.choice(("none", "none", "none", "plain", "tag", "build", "runtime", "split"))
        if kind != "none":
            contents["keyring"].append("./keys/extra.rsa.pub")
        if kind == "plain":
            contents["repositories"].insert(self.random.randrange(2), "./repos/extra")
        elif kind == "tag":
            contents["repositories"].append("@edge ./repos/extra")
            contents["packages"] += self.random.choice(([], ["only-extra@edge"], [f"{self.random.choice(self._packages)}@edge"]))
        elif kind == "build":
            contents["build_repositories"] = ["./repos/extra"]
        elif kind == "runtime":
            contents["runtime_repositories"] = ["https://packages.example.com/os"]
        elif kind == "split":
            contents |= {"build_repositories": [first], "runtime_repositories": ["https://packages.example.com/os/"]}
            del contents["repositories"]
        if self.chance(0.1):
            contents["runtime_keyring"] = [{"name": "later.rsa.pub", "content": self._key}]
        return contents

    def _requests(self) -> list[str]:
        requests = ["base"] * self.chance(0.85)
        self._chosen = self.random.sample(self._packages, self.random.randrange(1, 6))
        requests += self._chosen
        for name in ("ca-bundle", "corp-ca", "busybox", "lib-conf", "virt", "cmd:pa", "so:libx.so.1"):
            requests += [name] * self.chance(0.12)
        if self.chance(0.12):
            requests.append(self.random.choice(self._packages) + self.random.choice(CONSTRAINTS))
        self.random.shuffle(requests)
        return requests

    def _entrypoint(self) -> Value:
        kind = self.random.choice(("command", "command", "shell", "both", "bundle", "services", "type"))
        command = self.random.choice(("/usr/bin/pa", "/usr/bin/pa --x 'a b'", 'sh -c "echo $X"', "a\\ b 'c'\"d\"", "/bin/sh -l"))
        found: Value = {}
        if kind in ("command", "both"):
            found["command"] = command
        if kind in ("shell", "both"):
            found["shell-fragment"] = self.random.choice(("exec app", 'set -e\necho "$X" && exec app\n', "echo 'a' <b >c &"))
        if kind in ("bundle", "type"):
            found["type"] = "service-bundle"
        if kind in ("bundle", "services"):
            found["services"] = {"web": "/usr/bin/pa -f", "zz": "sh -c 'x y'"}
        return found

    def _accounts(self) -> Value:
        users = [
            {"username": "web", "uid": 2000},
            {"username": "svc", "uid": 2001, "gid": 2100, "shell": "/sbin/nologin", "homedir": "/var/lib/svc/home"},
            {"username": "nohome", "uid": 2002, "homedir": "/dev/null"},
            {"username": "same", "uid": 2000, "gid": 0},
            {"username": "app", "uid": 3000},
        ]
        groups = [
            {"groupname": "web", "gid": 2000},
            {"groupname": "svc", "gid": 2100, "members": ["svc", "web"]},
            {"groupname": "wheel", "gid": 10, "members": []},
        ]
        found: Value = {}
        if self.chance(0.8):
            found["users"] = self.random.sample(users, self.random.randrange(1, 4))
        if self.chance(0.6):
            found["groups"] = self.random.sample(groups, self.random.randrange(1, 3))
        if self.chance(0.6):
            found["run-as"] = self.random.choice(("web", "app", "root", "2000", "nobody-knows", "65534", "nobody", ""))
        return found

    def _environment(self) -> Value:
        return dict(self.random.sample(list(ENVIRONMENT.items()), self.random.randrange(1, 6)))

    def _annotations(self) -> Value:
        return dict(self.random.sample(list(ANNOTATIONS.items()), self.random.randrange(1, 4)))

    def _layering(self) -> Value:
        return self.random.choice(
            (
                {},
                {"strategy": "origin", "budget": self.random.randrange(0, 13)},
                {"strategy": "origin", "budget": 3},
                {"strategy": "origin"},
            )
        )

    def _certificates(self) -> Value:
        additional = [{"name": "company", "content": self._certificate}]
        return self.random.choice(
            (
                {"additional": additional},
                {"providers": ["corp-certs"]},
                {"additional": additional, "providers": ["corp-certs", "none"]},
            )
        )

    def _paths(self) -> list[Value]:
        return [self._mutation(number) for number in range(self.random.randrange(1, 5))]

    def _mutation(self, number: int) -> Value:
        """Most paths are new, or there in most images."""
        kind = self.random.choice(("directory", "directory", "empty-file", "symlink", "hardlink", "permissions", "permissions"))
        name = self.random.choice(self._chosen)
        there = self.random.choice(("/etc/hostname", "/etc", "/srv", f"/usr/bin/{name}", f"/usr/bin/{name}", "/usr/bin"))
        new = self.random.choice((f"/new{number}", f"/srv/deep/er/new{number}", f"/etc/new{number}", f"relative/new{number}"))
        found: Value = {"path": new, "type": kind}
        if kind == "permissions" or (kind == "directory" and self.chance(0.3)):
            found["path"] = there
        if kind in ("symlink", "hardlink"):
            found["source"] = self.random.choice((f"/usr/bin/{name}", f"/usr/bin/{name}", "/etc/passwd"))
        if self.chance(0.9) or kind == "permissions":
            found["permissions"] = Octal(self.random.choice((0o755, 0o644, 0o700, 0o1777, 0o2775, 0o4711, 0)))
        if self.chance(0.5):
            found["uid"] = self.random.choice((0, 1001, 65534))
        if self.chance(0.4):
            found["gid"] = self.random.choice((0, 1002, 70000))
        if kind in ("permissions", "directory") and self.chance(0.2):
            found["recursive"] = True
        return found

    # --- around the definition ---

    def _split(self, value: Value, made: Definition) -> Value:
        """Some keys move into an included definition; some stay in both."""
        base: Value = {}
        child: Value = {"include": self.random.choice((f"cases/{made.name}/base.yaml", f"./cases/{made.name}/base.yaml"))}
        for key, part in value.items():
            target = self.random.choice(("base", "child", "child"))
            if key == "contents" and isinstance(part, dict):
                base["contents"], child["contents"] = self._share(part)
            elif target == "base":
                base[key] = part
            else:
                child[key] = part
                if self.chance(0.2):
                    base[key] = part
        made.files["base.yaml"] = text_of(base)
        return child

    def _share(self, contents: Value) -> tuple[Value, Value]:
        base: Value = {}
        child: Value = {}
        for key, rows in contents.items():
            cut = self.random.randrange(len(rows) + 1)
            base |= {key: rows[:cut]} if cut else {}
            child |= {key: rows[cut:]} if cut < len(rows) else {}
        return base, child

    def _flags(self, made: Definition) -> None:
        if self.chance(0.08):
            made.arguments += ["-p", self.random.choice((*self._packages, "ca-bundle", "no-such"))]
        if self.chance(0.06):
            made.arguments += [self.random.choice(("-r", "-b")), "./repos/extra", "-k", "./keys/extra.rsa.pub"]
        if self.chance(0.06):
            made.arguments += ["--arch", self.random.choice(("x86_64", "aarch64,x86_64", "arm64"))]
        if self.chance(0.08):
            made.arguments += [
                "--build-date",
                self.random.choice(("2020-01-01T00:00:00Z", "2030-05-06T07:08:09Z", "2030-05-06T07:08:09+02:00")),
            ]
        if self.chance(0.06):
            made.environment["SOURCE_DATE_EPOCH"] = self.random.choice(("0", "1234567890", "1800000000"))
        if self.chance(0.08):
            made.arguments += ["--annotations", self.random.choice(("k:v", "org.opencontainers.image.title:Flag,b:c d", "a:b:c"))]
        if self.chance(0.05):
            made.arguments.append("--sbom=false")
        if self.chance(0.05):
            made.tag = self.random.choice(
                ("registry.example.com:5000/a/b:v1", "apkiln.test/x@sha256:" + "0" * 64, "apkiln.test/plain")
            )

    # --- wrong definitions ---

    def _spoil(self, value: Value) -> None:
        """One fault, or what looks like one."""
        place, choices = self.random.choice(list(WRONG.items()))
        section, _, key = place.partition(".")
        found = self.random.choice(choices)
        if key:
            (value.setdefault(section, {}) or {})[key] = self._filled(found)
        else:
            value[section] = self._filled(found)

    def _filled(self, value: Any) -> Any:
        """The value with the certificate and the key in place of their names."""
        if isinstance(value, dict):
            return {key: self._filled(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return (
            {"CERTIFICATE": self._certificate, "TWO": self._certificate * 2, "KEY": self._key}.get(value, value)
            if isinstance(value, str)
            else value
        )


def _paths(**entry: Any) -> list[Value]:
    return [{"path": "/x", "type": "directory", "permissions": 0o755, **entry}]


def _user(**entry: Any) -> Value:
    return {"users": [{"username": "r", "uid": 5, **entry}]}


def _certificate(**entry: Any) -> Value:
    return {"additional": [{"name": "x", "content": "CERTIFICATE", **entry}]}


WRONG: dict[str, list[Any]] = {
    "entry-point": [{}],
    "cmd": [["a", "b"], {"a": 1}, None],
    "environment": [["A=b"], "A=b", {"A": None}, {"A": ["b"]}],
    "archs": ["x86_64", [], ["riscv64"], ["vax"], None],
    "paths": [
        _paths(type="copy"), _paths(type=""), _paths(type="Directory"), _paths(path=""), _paths(path="/"), _paths(path="../x"),
        _paths(path="/a/../../b"), _paths(type="symlink"), _paths(type="hardlink"), _paths(path="/etc/hostname"),
        _paths(path="/etc/hostname", type="symlink", source="/x"), _paths(path="/no/such", type="permissions"),
        _paths(permissions="x"), _paths(permissions=-1), _paths(permissions=0o200000), _paths(uid=-1), _paths(gid=2**32),
        _paths(recursive="yes"), _paths(mode=5), [None], ["/x"], {"path": "/x"},
    ],
    "accounts": [
        _user(uid=0), _user(uid=-1), _user(uid=2**31), _user(uid=2**32), _user(uid="x"), _user(uid=1.5), _user(uid=None),
        _user(username=""), _user(username="a:b"), _user(username="a b"), _user(username="a\nb"), _user(shell=["x"]),
        _user(gid=-1), {"users": [{"uid": 5}]}, {"groups": [{"gid": 5}]}, {"groups": [{"groupname": "g", "gid": 2**32}]},
        {"users": "x"}, {"groups": [{"groupname": "g", "gid": 5, "members": "a"}]}, {"run-as": 5}, {"run-as": ["x"]},
    ],
    "layering": [
        {"strategy": "package", "budget": 3}, {"strategy": "Origin"}, {"strategy": "", "budget": 3}, {"budget": 3},
        {"strategy": "origin", "budget": -1}, {"strategy": "origin", "budget": "x"}, {"strategy": "origin",
        "budget": 1000}, "origin",
    ],
    "certificates": [
        _certificate(content="hello"), _certificate(content=""), _certificate(content="TWO"), _certificate(name="../x"),
        _certificate(name=""), _certificate(name="a b"), _certificate(name=".x"), {"providers": "x"}, {"other": []},
    ],
    "entrypoint": [
        {"command": "unbalanced 'quote"}, {"command": 'a "b'}, {"command": "a\\"}, {"type": "systemd"}, {"services": ["x"]},
        {"command": ["a"]}, "x", {"services": {"../x": "y"}}, {"services": {"": "y"}}, {"services": {"a": ""}},
    ],
    "stop-signal": [9, ["x"], ""],
    "work-dir": [5, ["x"]],
    "volumes": ["/x", [""], [5], None],
    "annotations": [{"a": None}, {"": "x"}, {"a": 5}, ["a"]],
    "include": ["cases/none.yaml", "", ["x"], {"path": "x"}],
    "vcs-url": ["", "@", "x"],
    "contents.packages": [
        [], None, ["no-such"], ["pa=9"], [""], ["!pb", "pa"], ["pa", "pa"], ["a b"], ["=1"], ["pa@none"],
        ["pa>"], ["pa=x"], "pa", [5],
        ["PA"], ["pa><1"], ["pa=1.0-r0", "pa=1.2-r0"],
    ],
    "contents.repositories": [[], ["./repos/none"], None, ["@x"], [""], ["@ ./repos/main"], ["a b"], "./repos/main"],
    "contents.keyring": [[], ["./keys/none.rsa.pub"], ["./keys/extra.rsa.pub"], ["./keys/main.rsa.pub"] * 2,
        "./keys/main.rsa.pub", [""]],
    "contents.runtime_keyring": [
        [{"name": "main.rsa.pub", "content": "KEY"}], [{"name": "../x", "content": "KEY"}],
        [{"name": "ok.rsa.pub", "content": "no key"}],
        [{"name": "ok.rsa.pub", "content": ""}], [{"name": "ok.rsa.pub"}], [{"name": "a", "content": "KEY"}] * 2,
    ],
    "contents.runtime_repositories": [["https://u:p@packages.example.com/os"], [""], "x"],
    "contents.baseimage": [{"image": "none"}, "x", {}],
}  # fmt: skip
"""Values by key, most of which apko refuses; CERTIFICATE, TWO (of them) and KEY stand for the real ones."""
