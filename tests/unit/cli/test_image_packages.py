from __future__ import annotations

import pytest

from apkiln.cli.image_packages import rendered, template_of
from apkiln.core.errors import UsageError
from apkiln.formats.apk.records import IndexRecord

RECORD = IndexRecord("tool", "1.0-r0", "x86_64", bytes(20), 1, 1)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("", "tool 1.0-r0"),
        ("name=version", "tool=1.0-r0"),
        ("packagelock-source", "- tool=1.0-r0 # ./repo/x86_64/tool-1.0-r0.apk"),
        ("name-(version)-source", "tool (1.0-r0) ./repo/x86_64/tool-1.0-r0.apk"),
        ("{{ .Name }}|{{.Version}}", "tool|1.0-r0"),
    ],
)
def test_formats(form: str, text: str) -> None:
    assert rendered(template_of(form), RECORD, "./repo") == text


def test_a_format_without_a_field_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        template_of("bogus")
    assert caught.value.reason == "bad-format"
