"""bash, OpenSSL and curl of upstream's sources, each upon what was built before: `make slow`."""

from __future__ import annotations

import os
import shutil

import pytest
from tests.integration.clients import call, client
from tests.real_workplace import COMPILERS, Workplace, make_workplace

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    compilers = [name for name in COMPILERS if not name.startswith(("golang", "python3", "musl"))]
    return make_workplace(tmp_path_factory.mktemp("large"), [*compilers, "perl", "gzip"], ("zlib", "bash", "openssl", "curl"))


def test_bash_twice_with_the_same_bytes(workplace: Workplace) -> None:
    workplace.built_and_tested("bash")
    assert {item.entry.path for item in workplace.package("bash5-doc-5.2.15-r0").entries} > {"usr/share/man/man1/bash5.1"}
    answer = workplace.build("bash", "--root", "hardlinks")
    assert answer.code == 0, answer.errors[-2000:]  # other bytes would be refused


def test_openssl_and_curl_upon_it(workplace: Workplace) -> None:
    for name in ("zlib", "openssl"):
        workplace.built_and_tested(name)
    assert "so:libssl.so.3=3" in workplace.package("openssl-3.0.20-r0").info.provides
    assert "pc:openssl=3.0.20-r0" in workplace.package("openssl-dev-3.0.20-r0").info.provides
    answer = workplace.build("curl", "-r", "packages", "--ignore-signatures", "--overwrite")
    assert answer.code == 0, answer.errors[-3000:]
    answer = workplace.test("curl")
    assert answer.code == 0, answer.errors[-3000:]
    assert {"openssl", "zlib"} < set(workplace.package("curl-7.88.1-r0").info.depends)


def test_apk_accepts_all_of_them(workplace: Workplace) -> None:
    apk = client("apk")
    packages = sorted(map(str, workplace.directory.glob("packages/x86_64/*.apk")))
    if len(packages) < 8:
        pytest.skip("the builds before did not pass")
    call([apk, "verify", "--allow-untrusted", *packages])
    root = workplace.directory / "root"
    shutil.rmtree(root, ignore_errors=True)
    options = ("--root", str(root), "--initdb", "--arch", "x86_64", "--allow-untrusted", "--no-network", "--no-scripts")
    repositories = [item for name in ("debian", "packages") for item in ("--repository", str(workplace.directory / name))]
    # The manual of bash depends on `man-db`, which nobody imported.
    wanted = ("curl", "curl-dev", "openssl-dev", "zlib-dev", "bash5")
    call([apk, *options, *repositories, "add", *wanted])
    if os.geteuid() == 0:
        assert "OpenSSL/3.0.20 zlib/1.2.13" in call(["chroot", str(root), "/usr/bin/curl", "--version"])
    assert (root / "usr/bin/curl").is_file() and (root / "usr/lib/libssl.so").is_symlink()
