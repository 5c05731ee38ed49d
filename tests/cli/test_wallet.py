"""``kalepool wallet`` against a network on a socket: funding, balances, sweeps, keys, recovery."""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from kalepool.cli.app import main
from kalepool.cli.commands.wallet import _hint
from kalepool.core.intents import Kind, Plan, State
from kalepool.errors import ConfigError
from kalepool.services.gathering import Swept
from support.devnet import KALE, XLM, keypair
from support.live import LiveNetwork
from support.steading import Steading, enter
from support.terminal import converse
from support.vault import MAIN, OPERATIONS, PHRASE, opened, secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

SECOND = "another passphrase altogether"
CONTRACT = "CAYKHFRQH6N5XNSX3UAY4OOIJ27YFUSIPUJNPAXZJCQTVICZDXFT5JAL"
OPERATOR = "GC3MMSXBWHL6CPOAVERSJITX7BH76YU252WGLUOM5CJX3E7UCYZBTPJQ"
STRANGER = keypair("stranger").public_key


@pytest.fixture
def network() -> Iterator[LiveNetwork]:
    """A network on which the operator of the known phrase has 1,000 XLM."""
    network = LiveNetwork()
    network.ledger.create_account(OPERATOR, 1_000 * XLM)
    with network:
        yield network


@pytest.fixture
def steading(
    network: LiveNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Steading:
    enter(tmp_path, monkeypatch, rpc=network.url)
    monkeypatch.setenv("KALEPOOL_HARVEST_CHANNELS", "2")
    return Steading(tmp_path, capsys)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Steading:
    enter(tmp_path, monkeypatch)
    return Steading(tmp_path, capsys)


def holding(network: LiveNetwork, *addresses: str, kale: int = 8) -> None:
    """Give KALE to accounts that exist."""
    for address in addresses:
        network.ledger.give_kale(address, kale * KALE)


def test_farmers_are_funded_swept_and_shown_with_what_they_hold(
    network: LiveNetwork, steading: Steading
) -> None:
    steading.run("farmer", "add", "f", "--count", "3")
    code, _, err = steading.run("wallet", "fund", "--all")
    assert code == 2
    assert "5 accounts: locks 6.5 XLM" in err
    assert "give --yes" in err
    done = steading.data("wallet", "fund", "--all", "--yes")
    assert (done["funded"], done["transactions"], done["locked_stroops"]) == (
        ["f-1", "f-2", "f-3"],
        1,
        "65000000",
    )
    code, out, err = steading.run("wallet", "fund", "--all", "--yes")
    assert (code, out, err) == (0, "nothing to do: all of them are funded\n", "")
    wallets = [steading.vault.wallet(index) for index in range(3)]
    holding(network, *wallets)
    held = steading.data("wallet", "balance")
    assert held["kale_stroops"] == str(24 * KALE)
    assert [one["name"] for one in held["accounts"]] == [
        "operator",
        "channel 0",
        "channel 1",
        "f-1",
        "f-2",
        "f-3",
    ]
    assert held["accounts"][1]["kale_stroops"] is None
    assert steading.data("farmer", "list")["farmers"][0]["kale_stroops"] == str(8 * KALE)
    swept = steading.data("wallet", "sweep", "25%", "--to", wallets[0], "--memo", "hay", "--yes")
    assert swept["swept_stroops"] == str(4 * KALE)
    assert [one["state"] for one in swept["payments"]] == ["settled", "settled"]
    text = steading.run("wallet", "balance")[1]
    assert [line.split()[-1] for line in text.splitlines() if line.startswith((" f-", " all"))] == [
        "12",
        "6",
        "6",
        "24",
    ]


def test_an_operator_without_enough_is_told_what_is_missing(network: LiveNetwork, steading: Steading) -> None:
    steading.run("farmer", "add", "f", "--count", "700")
    code, out, err = steading.run("wallet", "fund", "--all", "--yes")
    assert (code, out) == (5, "")
    said, hint = err.splitlines()
    assert said.startswith("error: the operator lacks 53.")
    assert OPERATOR in hint
    assert steading.data("farmer", "list")["farmers"][0]["state"] == "created"


def test_an_address_to_be_paid_is_looked_at_on_the_network(network: LiveNetwork, steading: Steading) -> None:
    code, _, err = steading.run("farmer", "add", "anna", "--payout", STRANGER)
    assert code == 5
    assert "there is no account" in err
    assert steading.data("farmer", "list")["farmers"] == []
    steading.run("farmer", "add", "anna")
    steading.run("wallet", "fund", "anna", "--yes")
    added = steading.data("farmer", "add", "bert", "--payout", steading.vault.wallet(0))
    assert added["receivers_checked"] is True


def test_a_seed_is_handed_over_to_a_new_private_file_and_that_is_recorded(offline: Steading) -> None:
    offline.run("farmer", "add", "anna")
    code, out, err = offline.run("wallet", "export", "anna", "--to", "seed.txt")
    assert (code, out, err) == (0, "the seed of anna is in seed.txt\n", "")
    written = offline.folder / "seed.txt"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert offline.vault.address_of(secret(written.read_text())) == offline.vault.wallet(0)
    with offline.pool() as pool:
        last = pool.audit.rows()[-1].what
    assert last == f"exported the seed of 'anna', {offline.vault.wallet(0)}, to seed.txt"
    assert written.read_text().strip() not in last
    assert offline.run("wallet", "export", "anna", "--to", "seed.txt")[0] == 3


def test_on_a_terminal_the_passphrase_is_asked_for_again_and_the_seed_is_shown(offline: Steading) -> None:
    offline.run("farmer", "add", "anna")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "kalepool", "wallet", "export", "anna"]
    for typed, code in ((MAIN, 0), ("wrong", 3)):
        got, shown = converse(
            command,
            lambda fresh, typed=typed: f"{typed}\n" if "once more" in fresh else None,  # type: ignore[misc]
            folder=offline.folder,
            environ=environ,
        )
        assert got == code
        assert (re.search(r"^S[A-Z2-7]{55}\r?$", shown, re.MULTILINE) is not None) == (code == 0)
        assert MAIN not in shown


def test_the_passphrase_changes_and_the_old_one_opens_nothing(
    offline: Steading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALEPOOL_NEW_PASSPHRASE", SECOND)
    assert offline.run("wallet", "passphrase")[0] == 0
    path = offline.folder / "kalepool.vault"
    assert opened(path, SECOND).operator == OPERATOR
    assert offline.run("farmer", "add", "anna")[0] == 3
    monkeypatch.setenv("KALEPOOL_PASSPHRASE", SECOND)
    assert offline.run("farmer", "add", "anna")[0] == 0


def test_an_operations_passphrase_is_set_and_removed(
    offline: Steading, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = offline.folder / "kalepool.vault"
    (offline.folder / "new").touch(0o600)
    (offline.folder / "new").write_text(OPERATIONS + "\n")
    words = ("wallet", "passphrase", "--operations")
    assert offline.data(*words, "--new-passphrase-file", "new")["has_operations_passphrase"] is True
    assert not opened(path, OPERATIONS).farmers_unlocked
    assert offline.data(*words, "--remove")["has_operations_passphrase"] is False
    with pytest.raises(ConfigError):
        opened(path, OPERATIONS)


def test_words_alone_bring_back_what_is_on_the_network(
    network: LiveNetwork, steading: Steading, monkeypatch: pytest.MonkeyPatch
) -> None:
    steading.run("farmer", "add", "f", "--count", "2")
    steading.run("wallet", "fund", "--all", "--yes")
    (steading.folder / "kalepool.db").unlink()
    (steading.folder / "kalepool.vault").unlink()
    (steading.folder / "words").touch(0o600)
    (steading.folder / "words").write_text(PHRASE + "\n")
    found = steading.data("wallet", "recover", "--recovery-phrase-file", "words")
    assert (found["operator"], found["operator_exists"], found["channels"]) == (OPERATOR, True, 2)
    assert [(one["name"], one["state"]) for one in found["farmers"]] == [
        ("recovered-1", "paused"),
        ("recovered-2", "paused"),
    ]
    assert any("payout" in lost for lost in found["lost"])
    assert steading.run("farmer", "resume", "recovered-1", "recovered-2")[0] == 0
    assert steading.run("wallet", "recover", "--recovery-phrase-file", "words")[0] == 3


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("one two", 2, "has 24 words"),
        (PHRASE.replace("bench", "bunch"), 2, "word 1"),
        (" ".join(reversed(PHRASE.split())), 2, "checksum"),
        (PHRASE, 4, "127.0.0.1"),
    ],
)
def test_a_recovery_that_cannot_begin_makes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    code: int,
    message: str,
) -> None:
    enter(tmp_path, monkeypatch)
    words = tmp_path / "words"
    words.touch(0o600)
    words.write_text(text)
    assert main(["wallet", "recover", "--recovery-phrase-file", "words"]) == code
    said, hint = capsys.readouterr().err.splitlines()
    assert message in said
    assert hint.startswith("hint: ")
    assert not set(said.split()) & set(PHRASE.split())
    assert [path.name for path in tmp_path.iterdir()] == ["words"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("fund", 2, "which farmers?"),
        ("fund anna --all", 2, "which farmers?"),
        ("fund nobody", 2, "no farmer 'nobody'"),
        ("fund self", 2, "keeps his own account"),
        ("fund --all --yes", 4, "127.0.0.1"),
        ("fund --all --passphrase-file nowhere", 3, "does not exist"),
        ("balance", 4, "127.0.0.1"),
        ("balance --network testnet", 3, "belongs to the network"),
        ("sweep", 2, "Missing"),
        (f"sweep abc --to {STRANGER}", 2, "is not a percentage"),
        (f"sweep 101 --to {STRANGER}", 2, "is not a percentage"),
        (f"sweep 0 --to {STRANGER}", 2, "nothing"),
        ("sweep 5 --to GABC", 2, "is not an address"),
        (f"sweep 5 --to {CONTRACT}", 2, "contract"),
        (f"sweep 5 --to {STRANGER} --memo {'x' * 29}", 2, "28 bytes"),
        (f"sweep 5 --to {STRANGER} --yes", 4, "127.0.0.1"),
        ("export anna", 2, "terminal alone"),
        ("export nobody --to file", 2, "no farmer 'nobody'"),
        ("export self --to file", 2, "keeps his own account"),
        ("passphrase --remove", 2, "goes with --operations"),
        ("passphrase --operations --remove --new-passphrase-file x", 2, "takes no new"),
        ("passphrase", 3, "no terminal"),
        ("passphrase --new-passphrase-file nowhere", 3, "does not exist"),
        ("recover --gap 0", 2, "a gap is"),
        ("recover --recovery-phrase-file nowhere", 3, "does not exist"),
    ],
)
def test_what_is_refused_gets_one_line_and_a_hint_and_changes_nothing(
    offline: Steading, words: str, code: int, message: str
) -> None:
    offline.run("farmer", "add", "anna")
    offline.run("farmer", "add", "self", "--watch", CONTRACT)
    before = offline.contents()
    got, out, err = offline.run("wallet", *words.split())
    assert (got, out) == (code, "")
    said, hint = err.splitlines()
    assert said.startswith("error: ")
    assert hint.startswith("hint: ")
    assert message in said + hint
    assert offline.contents() == before


@pytest.mark.parametrize("words", ["fund --all --yes", f"sweep 5 --to {STRANGER} --yes", "passphrase"])
def test_a_wrong_passphrase_changes_nothing(
    steading: Steading, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    steading.run("farmer", "add", "anna")
    before = steading.contents()
    monkeypatch.setenv("KALEPOOL_PASSPHRASE", "wrong")
    monkeypatch.setenv("KALEPOOL_NEW_PASSPHRASE", SECOND)
    code, out, err = steading.run("wallet", *words.split())
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 2
    assert steading.contents() == before


def test_accounts_that_another_process_is_funding_are_left_to_it(steading: Steading) -> None:
    steading.run("farmer", "add", "anna")
    with steading.pool() as other:
        item = f"fund:{steading.vault.wallet(0)}"
        other.journal.plan_all([Plan(Kind.FUND, "fund:other", (item,))])
        code, _, err = steading.run("wallet", "fund", "anna", "--yes")
    assert code == 7
    assert "another kalepool is funding" in err


@pytest.mark.parametrize(
    ("states", "again"),
    [([State.FAILED], False), ([State.EXPIRED], True), ([State.FAILED, None], True)],
)
def test_a_sweep_that_is_over_is_not_said_to_go_on(states: list[State | None], again: bool) -> None:
    """Where every payment was made or has failed, the same line begins anew, of what is left."""
    hint = _hint([Swept("anna", 1, state, "") for state in states])
    assert ("run the same sweep again" in hint) is again
    assert ("this sweep is over" in hint) is not again
