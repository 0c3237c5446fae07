"""Licence files: their names, what they hold, and how a definition is compared with and fixed by them."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_packages import sample_package

from apkiln.core.errors import ApkilnError
from apkiln.core.origin import Origin
from apkiln.formats.apk.package import read_package
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.compilation.resolving import load
from apkiln.package.definition.model import Copyright
from apkiln.package.licences.classifying import Classifier, Licence, Match, read_table, triples, write_table
from apkiln.package.licences.collecting import CollectedTexts
from apkiln.package.licences.comparing import LicenceFile, compare, declared_names, short_name
from apkiln.package.licences.fixing import fixed
from apkiln.package.licences.names import licence_files, weight
from apkiln.package.licences.searching import TABLE, check_workspace, found_licences, open_classifier
from apkiln.system.files import DiskFiles
from apkiln.system.folder import MemoryFolder

ISC = """ISC License

Copyright (c) 2001 Somebody and Others

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND ISC DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL ISC BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF
CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
"""
WORDS = [f"word{number}" for number in range(400)]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return open_classifier(DiskFiles())


def made_up(seed: int, length: int) -> str:
    chosen = random.Random(seed)
    return " ".join(chosen.choice(WORDS) for _ in range(length))


class TestNames:
    @pytest.mark.parametrize(
        ("better", "worse"),
        [("LICENSE", "LICENSE.txt"), ("LICENSE.md", "COPYING"), ("COPYING", "COPYING.md"), ("copyright.txt", "license.rst"),
         ("LICENCE.rst", "COPYING.rst"), ("COPYING.rst", "LICENSE-MIT"), ("LICENSE_MIT", "COPYING-MIT"),
         ("COPYING-MIT", "MIT-LICENSE"), ("MIT-LICENSE", "MIT-COPYING"), ("MIT-COPYING", "OFL.txt"), ("OFL.txt", "OFL.x"),
         ("OFL.x", "OFL"), ("OFL", "PATENTS"), ("PATENTS", "PATENTS.txt"), ("PATENTS.txt", "README")],
    )  # fmt: skip
    def test_order(self, better: str, worse: str) -> None:
        assert weight(better) > weight(worse)
        assert licence_files((f"a/{worse}", f"a/{better}"))[0] == f"a/{better}"

    def test_the_root_comes_first(self) -> None:
        assert licence_files(("a/LICENSE", "PATENTS.txt", "COPYING")) == ("COPYING", "a/LICENSE", "PATENTS.txt")

    @pytest.mark.parametrize(
        "path", ["LICENSE.go", "LICENSE.xml", "x.gemspec", "venv/LICENSE", "a/node_modules/b/LICENSE", "rust-src-1.86.0/COPYING",
                 "melange-out/a/LICENSE", "licensed.txt", "copyme", ""],
    )  # fmt: skip
    def test_never(self, path: str) -> None:
        assert not weight(path)

    def test_versions_do_not_count(self) -> None:
        assert weight("foo-1.2.3/LICENSE") and weight("LICENSE-1.2.3") == weight("LICENSE")

    def test_shallow(self) -> None:
        paths = ("LICENSE", "a/LICENSE", "a/b/LICENSE", "vendor/LICENSE")
        assert licence_files(paths, deep=False) == ("LICENSE", "a/LICENSE")
        assert set(licence_files(paths)) == set(paths)


class TestClassifying:
    def test_real_texts(self, classifier: Classifier) -> None:
        assert [match.name for match in classifier.matches(ISC)] == ["ISC"]
        assert classifier.matches(f"# {ISC.upper()}".replace("\n", "\n# "))[0].confidence == classifier.matches(ISC)[0].confidence

    def test_no_licence(self, classifier: Classifier) -> None:
        assert classifier.matches("All this is ours.") == () and classifier.best("All this is ours.") is None
        assert classifier.matches("") == () and classifier.best(made_up(1, 2000)) is None

    def test_a_file_with_two_licences(self, classifier: Classifier) -> None:
        apache = (DiskFiles().read(TABLE.parents[4] / "LICENSE", 1 << 20)).decode()
        assert [match.name for match in classifier.matches(f"{ISC}\n----\n{apache}")] == ["Apache-2.0", "ISC"]

    @given(st.integers(0, 50), st.integers(50, 3000))
    def test_a_known_text_is_found_again(self, seed: int, length: int) -> None:
        texts = {f"L{number}": made_up(seed + number, length) for number in range(3)}
        known = Classifier(Licence.of(name, triples(text)) for name, text in texts.items())
        for name, text in texts.items():
            assert known.best(text) == Match(name, 1.0)
            assert name in [match.name for match in known.matches(f"intro here {text} and more")]

    @given(st.integers(0, 50), st.integers(0, 40))
    def test_confidence_falls_with_every_change(self, seed: int, changes: int) -> None:
        words = made_up(seed, 300).split()
        known = Classifier([Licence.of("L", triples(" ".join(words)))])
        positions = random.Random(seed).sample(range(300), changes)
        last = 1.0
        for number, position in enumerate(positions):
            words[position] = f"other{number}"
            best = known.best(" ".join(words))
            assert best is None or best.confidence <= last
            last = best.confidence if best is not None else 0.0
        assert (last == 1.0) is (changes == 0)

    def test_the_longer_of_two_that_are_both_there(self) -> None:
        short = made_up(7, 200)
        long = f"{short} {made_up(8, 60)}"
        known = Classifier((Licence.of("short", triples(short)), Licence.of("long", triples(long))))
        assert [match.name for match in known.matches(long)] == ["long"]
        assert [match.name for match in known.matches(short)] == ["short"]

    @given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.frozensets(st.integers(0, 2**32 - 1))), max_size=5))
    def test_tables_come_back(self, rows: list[tuple[str, frozenset[int]]]) -> None:
        licences = tuple(Licence.of(name, found) for name, found in rows)
        assert read_table(write_table(licences)) == licences

    def test_what_is_no_table(self) -> None:
        with pytest.raises(ApkilnError) as caught:
            read_table(b"something")
        assert caught.value.reason == "bad-licence-table"


def entry(licence: str, path: str = "", override: str = "") -> Copyright:
    return Copyright(Text(licence, Origin("d.yaml", 5, 3)), license_path=Text(path, Origin()), detection_override=override)


def file(path: str, *names: str) -> LicenceFile:
    return LicenceFile(path, tuple(Match(name, 1.0) for name in names))


class TestComparing:
    @pytest.mark.parametrize(
        ("entries", "files", "wanted"),
        [
            ((entry("MIT"),), (file("LICENSE", "MIT"),), []),
            ((entry("GPL-2.0-or-later OR (MIT AND ISC)"),), (file("A", "GPL-2.0"), file("B", "MIT", "ISC")), []),
            ((entry("GPL-2.0-only WITH Classpath-exception-2.0"),), (file("A", "GPL-2.0"),), []),
            ((entry("MIT"),), (file("LICENSE", "ISC"),), [("not-found", "MIT", ""), ("not-declared", "ISC", "LICENSE")]),
            ((entry("MIT"),), (file("LICENSE"),), [("not-found", "MIT", "")]),
            ((entry("X-Own", "LICENSE", "MIT"),), (file("LICENSE", "MIT"),), []),
            ((entry("X-Own", "LICENSE", "NOASSERTION"),), (file("LICENSE"),), []),
            ((entry("MIT", "LICENSE", "ISC"),), (file("LICENSE", "MIT"),), [("stale-override", "MIT", "LICENSE")]),
            ((entry("MIT", "gone"),), (file("LICENSE", "MIT"),), [("missing-file", "MIT", "gone")]),
            ((), (file("LICENSE", "MIT"),), [("not-declared", "MIT", "LICENSE")]),
        ],
    )
    def test_differences(
        self, entries: tuple[Copyright, ...], files: tuple[LicenceFile, ...], wanted: list[tuple[str, str, str]]
    ) -> None:
        assert [one[:3] for one in compare(entries, files).differences] == wanted

    def test_what_is_not_permissive(self) -> None:
        assert compare((), (file("A", "MIT", "GPL-3.0"), file("B", "AGPL-3.0"))).not_permissive == ("AGPL-3.0", "GPL-3.0")

    def test_names(self) -> None:
        assert declared_names("(MIT OR Apache-2.0) AND GPL-2.0-only WITH x") == ("MIT", "Apache-2.0", "GPL-2.0-only WITH x")
        assert [short_name(name) for name in ("GPL-2.0-only WITH x", "GPL-3.0+", "MIT")] == ["GPL-2.0", "GPL-3.0", "MIT"]


TEXT = """package:
  name: demo
  version: 1
  copyright:
    - license: MIT # first
      attestation: |
        Copyright somebody
    - license: BSD-3-Clause

    # about what follows
  description: demo

pipeline: []
"""


class TestFixing:
    def fix(self, text: str, *files: LicenceFile, form: str = "flat") -> str:
        entries = load(text.encode(), "d.yaml").evaluated.definition.package.copyright
        return fixed(text.encode(), "d.yaml", compare(entries, files), form=form).decode()

    def test_flat(self) -> None:
        new = self.fix(TEXT, file("LICENSE", "MIT"), file("COPYING", "GPL-3.0"))
        assert new == TEXT.replace("    - license: BSD-3-Clause\n", "    - license: GPL-3.0\n      license-path: COPYING\n")

    def test_simple(self) -> None:
        new = self.fix(TEXT, file("LICENSE", "MIT", "ISC"), form="simple")
        assert "    - license: MIT AND ISC\n\n    # about" in new and "attestation" not in new
        assert load(new.encode(), "d.yaml").evaluated.definition.package.copyright[0].license.text == "MIT AND ISC"

    @pytest.mark.parametrize("indent", ["  ", "    ", "      "])
    def test_any_indent(self, indent: str) -> None:
        text = f"package:\n{indent}name: a\n{indent}version: 1\n{indent}copyright:\n{indent}- license: MIT\n"
        assert self.fix(text, file("LICENSE", "ISC")) == text.replace("MIT", "ISC") + f"{indent}  license-path: LICENSE\n"

    def test_after_fixing_nothing_differs(self) -> None:
        files = (file("LICENSE", "Apache-2.0"), file("COPYING", "LGPL-2.1", "Zlib"))
        new = self.fix(TEXT, *files)
        entries = load(new.encode(), "d.yaml").evaluated.definition.package.copyright
        assert not compare(entries, files).differences and self.fix(new, *files) == new

    @pytest.mark.parametrize(
        "text", ["package: {name: a, version: 1, copyright: [{license: MIT}]}\n", "package:\n  name: a\n  version: 1\n"]
    )
    def test_other_forms_are_refused(self, text: str) -> None:
        with pytest.raises(ApkilnError) as caught:
            self.fix(text, file("LICENSE", "ISC"))
        assert caught.value.reason == "cannot-edit"


def test_searching_reads_named_paths_too(classifier: Classifier) -> None:
    folder = MemoryFolder({"LICENSE": ISC.encode(), "a/b/c/COPYING": ISC.encode(), "docs/legal": ISC.encode(), "main.c": b"int"})
    found = found_licences(folder, classifier, further=("docs/legal", "nowhere"))
    assert [(one.path, one.names) for one in found] == [("LICENSE", ("ISC",)), ("docs/legal", ("ISC",))]
    assert [one.path for one in found_licences(folder, classifier, deep=True)] == ["LICENSE", "a/b/c/COPYING"]


def test_packages_are_searched_while_they_are_read(classifier: Classifier) -> None:
    package = sample_package(files={"usr/share/licenses/a/LICENSE": ISC.encode(), "usr/bin/a": b"x"})
    texts = CollectedTexts()
    read_package(BytesIO(package.data), sink=texts)
    assert [(one.path, one.names) for one in found_licences(texts, classifier, deep=True)] == [
        ("usr/share/licenses/a/LICENSE", ("ISC",))
    ]


def test_a_workspace_is_checked_near_its_root_and_only_where_there_are_licence_files(tmp_path: Path) -> None:
    entries = (Copyright(Text("MIT", Origin())),)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text("a licence of nobody")
    (deep / "LICENSE").write_text("too deep")
    assert check_workspace(tmp_path, entries, DiskFiles()) == ()
    (tmp_path / "COPYING").symlink_to(outside)
    (tmp_path / "a" / "LICENSE").write_text("nothing that is known")
    assert check_workspace(tmp_path, entries, DiskFiles()) == ("MIT is declared, and in no licence file",)
