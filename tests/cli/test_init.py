"""``kalepool init``: three files, a phrase that reaches its owner, and nothing overwritten."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.vault import Vault
from kalepool.cli.app import main
from kalepool.config import load
from support.live import LiveNetwork
from support.terminal import converse
from support.vault import SEED, SEED_ADDRESS, secret

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = "a farm of one's own"
FILES = {"kalepool.db", "kalepool.toml", "kalepool.vault", "phrase"}
NOBODY = "http://127.0.0.1:9"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, a passphrase, and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("KALEPOOL_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("KALEPOOL_NETWORK_RPC", NOBODY)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_three_files_are_made_and_the_phrase_restores_the_operator(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--recovery-phrase-file", "phrase", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert names(folder) == FILES
    assert data["made"] == ["configuration", "store", "vault"]
    assert "not funded yet" in data["funding"]
    for private in ("kalepool.db", "kalepool.vault", "phrase"):
        assert stat.S_IMODE((folder / private).stat().st_mode) == 0o600
    words = (folder / "phrase").read_text().strip()
    assert len(words.split()) == 24
    again = Vault.create(
        folder / "again", network="local", passphrase=secret(PASSPHRASE), phrase=secret(words)
    )
    assert again.operator == data["operator"]


def test_the_configuration_explains_every_choice_and_holds_nothing_from_the_environment(folder: Path) -> None:
    assert main(["init", "--recovery-phrase-file", "phrase", "--network", "testnet"]) == 0
    text = (folder / "kalepool.toml").read_text()
    assert 'name = "testnet"' in text
    assert NOBODY not in text
    assert load(None, {}, folder).text("network.name") == "testnet"


def test_run_again_it_says_what_is_there_and_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["init", "--recovery-phrase-file", "phrase"]) == 0
    before = {name: (folder / name).read_bytes() for name in FILES}
    # Nor does it take a passphrase to say so.
    monkeypatch.delenv("KALEPOOL_PASSPHRASE")
    capsys.readouterr()
    assert main(["init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["made"] == []
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_what_is_missing_is_completed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--recovery-phrase-file", "phrase"]) == 0
    (folder / "kalepool.toml").unlink()
    (folder / "kalepool.db").unlink()
    capsys.readouterr()
    assert main(["init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["made"] == ["configuration", "store"]


def test_on_the_local_network_friendbot_funds_the_operator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with LiveNetwork() as network:
        monkeypatch.setenv("KALEPOOL_NETWORK_RPC", network.url)
        assert main(["init", "--recovery-phrase-file", "phrase", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["funding"] == "has 10000 XLM"


def test_the_operators_seed_may_come_from_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "seed").write_text(SEED + "\n")
    with (folder / "seed").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["init", "--recovery-phrase-file", "phrase", "--import-operator", "--json"]) == 0
    shown = capsys.readouterr()
    data = json.loads(shown.out)["data"]
    assert (data["operator"], data["operator_imported"]) == (SEED_ADDRESS, True)
    assert SEED not in shown.out + shown.err


@pytest.mark.parametrize(
    ("words", "environ", "code", "message"),
    [
        ([], {}, 2, "no terminal to show it on"),
        (["--recovery-phrase-file", "there"], {}, 3, "exists already"),
        (["--recovery-phrase-file", "no/such/folder"], {}, 3, "folder"),
        (["--recovery-phrase-file", "phrase", "--network", "moon"], {}, 2, "no network 'moon'"),
        (["--recovery-phrase-file", "phrase", "--passphrase-file", "none"], {}, 3, "does not exist"),
        (["--recovery-phrase-file", "phrase"], {"KALEPOOL_PASSPHRASE": ""}, 3, "empty"),
        (
            ["--recovery-phrase-file", "phrase", "--network", "mainnet"],
            {"KALEPOOL_PASSPHRASE": "short"},
            3,
            "too short for mainnet",
        ),
        (["--recovery-phrase-file", "phrase"], {"KALEPOOL_MINING_THREDS": "1"}, 3, "unknown key"),
        (["--recovery-phrase-file", "phrase", "--config", "no/such/kalepool.toml"], {}, 3, "nothing can be"),
        (["--recovery-phrase-file", "phrase", "--import-operator"], {}, 2, "seed"),
    ],
)
def test_bad_input_is_told_in_a_line_and_leaves_nothing_behind(
    words: list[str],
    environ: dict[str, str],
    code: int,
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "there").write_text("mine")
    (folder / "stdin").write_text("SNOSEED\n")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with (folder / "stdin").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["init", *words]) == code
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert hint.startswith("hint: ")
    assert names(folder) == {"there", "stdin"}
    assert (folder / "there").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--network", "testnet"], 3, "is for the network local, not testnet"),
        (["--recovery-phrase-file", "again"], 2, "there is a vault"),
    ],
)
def test_a_pool_that_is_there_is_not_made_again(
    words: list[str], code: int, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--recovery-phrase-file", "phrase"]) == 0
    before = {name: (folder / name).read_bytes() for name in FILES}
    capsys.readouterr()
    assert main(["init", *words]) == code
    assert message in capsys.readouterr().err
    assert {name: (folder / name).read_bytes() for name in FILES} == before
    assert names(folder) == FILES


def test_a_store_whose_vault_is_lost_gets_no_new_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--recovery-phrase-file", "phrase"]) == 0
    (folder / "kalepool.vault").unlink()
    assert main(["init", "--recovery-phrase-file", "again"]) == 3
    assert "its vault" in capsys.readouterr().err
    assert names(folder) == FILES - {"kalepool.vault"}


def at_terminal(folder: Path, *, lies: bool) -> tuple[int, str]:
    """Make a pool at a terminal, with the phrase on paper; give the exit code and all that was shown."""
    paper: dict[int, str] = {}

    def answer(shown: str) -> str | None:
        if "passphrase for the vault: " in shown or "Once more: " in shown:
            return PASSPHRASE + "\n"
        if "written it down. " in shown:
            paper.update((int(number), word) for number, word in re.findall(r"(\d+)\. ([a-z]+)", shown))
            return "\n"
        asked = re.search(r"Word (\d+): $", shown)
        if asked is None:
            return None
        return ("wrong" if lies else paper[int(asked[1])]) + "\n"

    environ = {name: value for name, value in os.environ.items() if name != "KALEPOOL_PASSPHRASE"}
    command = [sys.executable, "-m", "kalepool", "init"]
    code, shown = converse(command, answer, folder=folder, environ=environ)
    assert len(paper) == 24
    assert PASSPHRASE not in shown
    return code, shown


def test_at_a_terminal_the_phrase_is_shown_once_and_asked_for(folder: Path) -> None:
    code, shown = at_terminal(folder, lies=False)
    assert code == 0
    assert names(folder) == FILES - {"phrase"}
    assert "\x1b[3J" in shown  # it is gone from the scrollback too


def test_who_cannot_repeat_the_phrase_gets_no_pool(folder: Path) -> None:
    code, shown = at_terminal(folder, lies=True)
    assert code == 3
    assert "was not confirmed" in shown
    assert names(folder) == set()
