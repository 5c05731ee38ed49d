"""``kalepool demo``: two commands away from a checkout, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kalepool.cli.app import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


def test_farmers_earn_in_every_block_and_nothing_stays(tmp_path: Path) -> None:
    # A setting of the user's, even a wrong one, is none of the demo's.
    environ = os.environ | {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "KALEPOOL_MINING_THREADS": "x"}
    command = [sys.executable, "-m", "kalepool", "demo", "--farmers", "3", "--blocks", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    assert data["blocks"] == 1
    assert [farmer["name"] for farmer in data["farmers"]] == ["farmer-1", "farmer-2", "farmer-3"]
    for farmer in data["farmers"]:
        assert (farmer["planted"], farmer["worked"], farmer["harvested"]) == (1, 1, 1)
        assert int(farmer["harvested_stroops"]) > 0
        assert int(farmer["fees_stroops"]) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--farmers", "0"],
        ["--farmers", "101"],
        ["--blocks", "0"],
        ["--blocks", "51"],
        ["--blocks", "two"],
        ["--network", "testnet"],
    ],
)
def test_what_a_demo_cannot_be_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *words]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
