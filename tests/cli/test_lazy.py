"""Commands are loaded when asked for: the list of them is complete, true and cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kalepool.cli.commands
from kalepool.cli.app import main, tree
from kalepool.cli.lazy import COMMANDS

FOLDER = Path(kalepool.cli.commands.__file__).parent


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_is_where_the_list_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tree().commands[name].name == name
    assert main([name, "-h"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"Usage: kalepool {name} ")
    assert "completion" not in shown.out
    assert shown.err == ""


def test_each_module_of_a_command_is_in_the_list() -> None:
    # A module named after another and a word more, such as farmer_view, is a part of that one.
    heads = {path.stem.partition("_")[0] for path in FOLDER.glob("*.py")} - {""}
    listed = {entry.place.partition(":")[0] for entry in COMMANDS.values()}
    assert heads - {"statement"} == listed  # a statement is a kind of report


@pytest.mark.parametrize("name", ["farmer", "wallet", "db"])
def test_a_group_says_of_itself_what_the_list_says_of_it(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "-h"]) == 0
    assert COMMANDS[name].about in capsys.readouterr().out


def test_the_list_fits_80_columns() -> None:
    assert max(len(name) for name in COMMANDS) + max(len(entry.about) for entry in COMMANDS.values()) < 74


def test_help_loads_no_command() -> None:
    code = (
        "import sys; from kalepool.cli.app import main; main(['--help']);"
        "sys.exit(any(name.startswith('kalepool.cli.commands.') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
