"""Templates and paths over a definition."""

from __future__ import annotations

import pytest

from apkiln.core.errors import UsageError
from apkiln.package.compilation.resolving import load
from apkiln.package.definition.rendering import document
from apkiln.package.query.path import find
from apkiln.package.query.template import render
from apkiln.package.query.view import Section

TEXT = b"""package:
  name: demo
  version: 1.10
  dependencies: {runtime: [a, b], provider-priority: 5}
  target-architecture: [x86_64]
  copyright: [{license: MIT}, {license: 0BSD, paths: ["*"], attestation: me}]
vars: {x: "1", y: "2"}
subpackages:
  - name: one
  - {name: two, options: {no-provides: true}}
"""
SHOWN = document(load(TEXT, "x.yaml").evaluated.definition)


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ .Package.Name }}-{{ .Package.Version }}-r{{ .Package.Epoch }}", "demo-1.10-r0"),
        ("{{ len .Subpackages }}|{{ range .Subpackages }}{{ .Name }},{{ end }}", "2|one,two,"),
        ("{{- range $i, $s := .Subpackages }} {{ $i }}={{ $s.Name }} {{- end }}", " 0=one 1=two"),
        ("{{ if .Package.URL }}url{{ else if .Package.CPE.Vendor }}cpe{{ else }}none{{ end }}", "none"),
        ("{{ with .Package.Dependencies }}{{ .ProviderPriority }}{{ index .Runtime 1 }}{{ end }}", "5b"),
        ("{{ range $k, $v := .Vars }}{{ $k }}:{{ $v }};{{ end }}{{ .Vars.x }}", "x:1;y:2;1"),
        ('{{ printf "%s/%d%%" .Package.Name (len .Package.TargetArchitecture) }}', "demo/1%"),
        ('{{ if and (eq .Package.Name "demo") (not .Test.Pipeline) }}yes{{ end }}', "yes"),
        ("{{ .Package.Dependencies.Runtime }} {{ .Vars }}", "[a b] map[x:1 y:2]"),
        ('{{ .Package.Name | printf "%q" }}{{/* nothing */}}', '"demo"'),
        ("{{ $n := .Package.Name }}{{ range .Subpackages }}{{ $n }}{{ $.Package.Epoch }}{{ .Options.NoProvides }} {{ end }}",
         "demo0false demo0true "),
        ("{{ range .Pipeline }}x{{ else }}no steps{{ end }}", "no steps"),
        ("a {{- \"b\" -}} c", "abc"),
        ("{{ (index .Subpackages 1).Name }} {{ (index .Subpackages 1).Options.NoProvides }}", "two true"),
        ("{{ .Name }} {{ .Package.FullVersion }} {{ .Package.LicenseExpression }}", "demo 1.10-r0 MIT AND 0BSD"),
        ("{{ .Package.Copyright }}", "[{[]  MIT  } {[*] me 0BSD  }]"),
    ],
)  # fmt: skip
def test_templates(template: str, wanted: str) -> None:
    assert render(template, Section("", SHOWN)) == wanted


@pytest.mark.parametrize(
    "template",
    ["{{ .Nope }}", "{{ .Package.Nam }}", "{{ range .Package }}{{ end }}", "{{ if .Package }}", "{{ end }}", "{{ nope .Package }}", "{{",  # noqa: E501
     "{{ .Package.Name", '{{ printf "%x" 1 }}', "{{ index .Subpackages 9 }}", "{{ ( .Package }}", "{{ }}", "{{ $x }}", "{{ .Package.Name | 5 }}"],  # noqa: E501
)  # fmt: skip
def test_refuses(template: str) -> None:
    with pytest.raises(UsageError) as caught:
        render(template, Section("", SHOWN))
    assert caught.value.reason == "bad-template"


def test_paths() -> None:
    assert find(SHOWN, "package.name") == "demo"
    assert find(SHOWN, "subpackages[1].options.no-provides") is True
    for path, reason in (("package.nam", "no-value"), ("subpackages[7]", "no-value"), ("a..b", "bad-path")):
        with pytest.raises(UsageError) as caught:
            find(SHOWN, path)
        assert caught.value.reason in (reason, "no-value")
