"""Schemathesis, a fuzzer of its own right, over the interface as a running service describes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.test_repository_service import APP, LIB, SECRETS, Server, rows

from apkiln.repository.ledger.rows import decode, verified
from apkiln.system.database import open_ledgers

UNUSED = "positive_data_acceptance"
"""Would want everything accepted that fits the document; whether builds exist and digests are right is not in it."""


def test_the_interface_is_what_it_says(tmp_path: Path) -> None:
    """No server error, no status, header, body or method that the document does not have, nothing bad accepted."""
    pytest.importorskip("schemathesis", reason="schemathesis not installed")
    server = Server(tmp_path)
    try:
        assert server.publish(LIB).status_code == 200
        assert server.open(APP).status_code == 201
        api = f"{server.url}/os/musl/api/v1"
        words = ["run", f"{api}/schema/openapi.json", "--url", api, "-H", f"Authorization: Bearer {SECRETS['carol']}"]
        words += ["--max-examples", "40", "--seed", "1", "--generation-database", "none", "--suppress-health-check", "all"]
        words += ["--exclude-checks", UNUSED, "--continue-on-failure", "--no-color", "--no-shrink"]
        program = Path(sys.executable).with_name("schemathesis")
        done = subprocess.run([program, *words], capture_output=True, text=True, cwd=tmp_path, timeout=280, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert "Tested: 14" in done.stdout, done.stdout
        assert server.publish(APP).status_code == 200, "publishing goes on"
        assert len(rows(server)) > 20, "it changed things"
    finally:
        server.stop()
    ledgers = open_ledgers(f"sqlite:///{tmp_path}/ledger.db")
    verified((decode(row.text) for row in ledgers.rows("os/musl")), "os/musl")
    ledgers.close()
