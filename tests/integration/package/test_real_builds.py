"""Real upstream sources and real compilers: the definitions in `examples/packages`, built and tested upon Debian's packages."""

from __future__ import annotations

import pytest
from tests.real_workplace import COMPILERS, Workplace, make_workplace

pytestmark = [pytest.mark.network, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("real"), COMPILERS, ("zlib", "tinybox"))


def test_zlib(workplace: Workplace) -> None:
    workplace.built_and_tested("zlib")
    main, dev = workplace.package("zlib-1.2.13-r0"), workplace.package("zlib-dev-1.2.13-r0")
    assert "so:libz.so.1=1" in {item.partition(".13")[0] for item in main.info.provides} | set(main.info.provides)
    assert main.info.depends == ("libc6",), "imported packages have no names of libraries"
    assert any(item.startswith("pc:zlib") for item in dev.info.provides)
    assert "usr/include/zlib.h" in {item.entry.path for item in dev.entries}
    assert "usr/lib/libz.a" in {item.entry.path for item in workplace.package("zlib-static-1.2.13-r0").entries}


def test_busybox(workplace: Workplace) -> None:
    workplace.built_and_tested("tinybox")
    assert workplace.package("tinybox-1.35.0-r0").info.depends == ()


def test_a_program_for_musl(workplace: Workplace) -> None:
    workplace.built_and_tested("musl-hello")
    assert workplace.package("musl-hello-1.0-r0").info.depends == ()


def test_a_python_wheel(workplace: Workplace) -> None:
    workplace.built_and_tested("py3-fixture")


def test_a_go_program(workplace: Workplace) -> None:
    workplace.built_and_tested("go-hello")


def test_equal_bytes_when_built_again_on_hard_links(workplace: Workplace) -> None:
    for name, flags in (("musl-hello", ("--root", "hardlinks")), ("py3-fixture", ("--root", "hardlinks"))):
        answer = workplace.build(name, *flags)
        assert answer.code == 0, answer.errors[-2000:]  # other bytes would be refused
