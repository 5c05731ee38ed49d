"""``kalepool farmer``: what is added, shown and changed; what is refused changes nothing."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

from kalepool.core.chain import AccountState
from kalepool.core.records import PailRecord, PailState
from support.devnet import keypair
from support.steading import Steading, enter
from support.vault import OPERATIONS, SEED, SEED_ADDRESS, secret

if TYPE_CHECKING:
    from pathlib import Path

PAYOUT = keypair("payout").public_key
CONTRACT = "CAYKHFRQH6N5XNSX3UAY4OOIJ27YFUSIPUJNPAXZJCQTVICZDXFT5JAL"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def steading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Steading:
    enter(tmp_path, monkeypatch)
    return Steading(tmp_path, capsys)


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_one_is_added_by_name_and_listed_with_the_promised_fields(steading: Steading) -> None:
    code, out, err = steading.run("farmer", "add", "anna", "--stake", "2.5", "--email", "a@example.org")
    assert code == 0
    assert out == f"anna {steading.vault.wallet(0)}\n"
    assert err == "next: kalepool wallet fund --all\n"
    (anna,) = steading.data("farmer", "list")["farmers"]
    assert {name: anna[name] for name in ("name", "address", "state", "stake", "payout", "kale_stroops")} == {
        "name": "anna",
        "address": steading.vault.wallet(0),
        "state": "created",
        "stake": "2.5",
        "payout": None,
        "kale_stroops": None,
    }


def test_a_count_makes_numbered_names_with_the_same_terms(steading: Steading) -> None:
    added = steading.data("farmer", "add", "f", "--count", "3", "--stake", "12.5%", "--share", "90")[
        "farmers"
    ]
    assert [(one["name"], one["stake"], one["share_bps"]) for one in added] == [
        (f"f-{number}", "12.5%", 9_000) for number in (1, 2, 3)
    ]


def test_a_file_brings_its_own_names(steading: Steading) -> None:
    (steading.folder / "farmers.csv").write_bytes(
        b"\xef\xbb\xbfname,email,payout,stake,share\r\nanna,a@example.org,,5%,80%\r\nbert,,,1,\r\n"
    )
    added = steading.data("farmer", "add", "--csv", "farmers.csv")["farmers"]
    assert [(one["name"], one["stake"], one["share_bps"], one["email"]) for one in added] == [
        ("anna", "5%", 8_000, "a@example.org"),
        ("bert", "1", 10_000, None),
    ]


def test_every_fault_of_a_file_is_told_by_line_and_nobody_is_added(steading: Steading) -> None:
    (steading.folder / "farmers.csv").write_text("name,stake\nanna,5%\n-b,101%\nanna,\n")
    before = steading.contents()
    code, out, err = steading.run("farmer", "add", "--csv", "farmers.csv")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.split(":")[1].strip() for line in lines[:3]] == ["line 3", "line 3", "line 4"]
    assert lines[3].startswith("error: the file has 3 faults, first in line 3")
    assert lines[4].startswith("hint: ")
    code, out, _ = steading.run("farmer", "add", "--csv", "farmers.csv", "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["error"]["code"]) == (2, False, "usage")
    assert [fault["line"] for fault in document["data"]["faults"]] == [3, 3, 4]
    assert steading.contents() == before


def test_a_seed_comes_from_stdin_and_is_shown_nowhere(
    steading: Steading, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, SEED.encode() + b"\n")
    code, out, err = steading.run("farmer", "add", "old", "--import-seed", "--verbose")
    assert (code, out) == (0, f"old {SEED_ADDRESS}\n")
    assert SEED not in out + err
    assert SEED.encode() not in (steading.folder / "kalepool.db").read_bytes()


def test_a_self_custody_farmer_is_watched_by_address_and_owes_his_fees(steading: Steading) -> None:
    assert steading.run("farmer", "add", "self", "--watch", CONTRACT)[0] == 0
    steading.run("farmer", "set", "self", "--fee", "10%")
    with steading.pool() as pool:
        number = pool.farmers.get("self").number
        pool.pails.record([PailRecord(number, 5, PailState.HARVESTED, 1, 2, 3, 4, 70, 99)])
    shown = steading.data("farmer", "show", "self")
    assert (shown["custody"], shown["state"], shown["owed_stroops"]) == ("watched", "active", "7")


def test_an_address_to_be_paid_that_the_network_cannot_be_asked_about_is_taken_with_a_word(
    steading: Steading,
) -> None:
    code, out, err = steading.run("farmer", "add", "anna", "--payout", PAYOUT)
    assert code == 0
    assert out.startswith("anna G")
    assert "warning: not checked whether KALE can be paid" in err
    assert steading.data("farmer", "list")["farmers"][0]["payout"] == PAYOUT


def test_show_tells_terms_states_and_balances_with_their_ledger(steading: Steading) -> None:
    steading.run("farmer", "add", "anna")
    steading.run("farmer", "set", "anna", "--stake", "7%", "--harvest-every", "20", "--share", "50%")
    with steading.pool() as pool:
        state = AccountState(steading.vault.wallet(0), 0, 0, 1, 25_000_000, 9, None)
        pool.views.save_accounts([state], 77)
    shown = steading.data("farmer", "show", "anna", "--verify")
    assert (shown["kale_stroops"], shown["seen_ledger"], shown["wallet_index"]) == ("25000000", 77, 0)
    assert [(one["stake"], one["seal_holds"]) for one in shown["terms"]] == [("10%", True), ("7%", True)]
    assert [(move["state"], move["who"]) for move in shown["states"]] == [("created", "farmer add")]
    text = steading.run("farmer", "show", "anna")[1]
    assert "2.5 (in ledger 77)" in text
    assert "stake 7%, harvest every 20, share 50%" in text
    assert steading.vault.wallet(0) in text


def test_terms_changed_behind_the_vaults_back_are_found(steading: Steading) -> None:
    steading.run("farmer", "add", "anna")
    with steading.pool() as pool:
        pool.store.execute("UPDATE terms SET payout = ?", (PAYOUT,))
    code, out, err = steading.run("farmer", "show", "anna", "--verify")
    assert code == 3
    assert "SEAL IS WRONG" in out
    assert "changed without the vault" in err


def test_set_pause_and_resume_say_what_holds_now(steading: Steading) -> None:
    steading.run("farmer", "add", "self", "--watch", CONTRACT)
    assert steading.data("farmer", "set", "self", "--fee", "3%")["farmer"]["fee_bps"] == 300
    assert steading.run("farmer", "set", "self", "--fee", "3%")[1] == "self: terms are as they were\n"
    assert steading.run("farmer", "pause", "self", "--why", "ill")[1] == "self paused\n"
    assert steading.data("farmer", "resume", "self")["farmers"][0]["state"] == "active"


def test_the_list_needs_neither_passphrase_nor_network_and_fits_in_eighty_columns(
    steading: Steading, monkeypatch: pytest.MonkeyPatch
) -> None:
    steading.run("farmer", "add", "a-name-of-20-letters", "--count", "2")
    monkeypatch.delenv("KALEPOOL_PASSPHRASE")
    assert steading.vault.wallet(1) in steading.run("farmer", "list")[1]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", steading.run("farmer", "list")[1])
    assert "…" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "a-name-of-20-letters-2" in shown


def test_a_list_of_nobody_says_how_to_begin(steading: Steading) -> None:
    assert "kalepool farmer add" in steading.run("farmer", "list")[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("add", 2, "which farmer?"),
        ("add anna", 2, "farmer 'anna' already"),
        ("add a b", 2, "unexpected extra argument"),
        ("add -- -b", 2, "cannot be a farmer's name"),
        ("add b/c", 2, "cannot be a farmer's name"),
        (f"add {SEED}", 2, "not shown"),
        ("add b --stake abc", 2, "is not a stake"),
        ("add b --stake 101%", 2, "is not a stake"),
        ("add b --stake -1", 2, "is not a stake"),
        ("add b --stake 1e3", 2, "is not a stake"),
        ("add b --stake 0.12345678", 2, "is not a stake"),
        ("add b --share 101", 2, "is not a share"),
        ("add b --share x", 2, "is not a share"),
        ("add b --email nowhere", 2, "is not an e-mail address"),
        ("add b --payout GABC", 2, "is not an address"),
        (f"add b --payout {PAYOUT[:-1]}A", 2, "checksum"),
        (f"add b --payout {CONTRACT}", 2, "contract cannot be a payout"),
        (f"add b --payout {SEED}", 2, "not shown"),
        ("add b --watch GABC", 2, "is not an address"),
        (f"add b --watch {CONTRACT} --payout {PAYOUT}", 2, "--watch stands alone"),
        (f"add b --watch {CONTRACT} --count 2", 2, "--watch stands alone"),
        ("add b --import-seed --count 2", 2, "--import-seed stands alone"),
        ("add b --count 0", 2, "cannot be added at once"),
        ("add b --count 10001", 2, "cannot be added at once"),
        ("add b --count x", 2, "valid integer"),
        ("add --csv nowhere.csv", 2, "cannot be read"),
        ("add --csv .", 2, "cannot be read"),
        ("add b --csv x.csv", 2, "--csv stands alone"),
        ("add b --passphrase-file nowhere", 3, "does not exist"),
        ("show nobody", 2, "no farmer 'nobody'"),
        ("show", 2, "Missing argument"),
        ("set nobody --stake 1", 2, "no farmer 'nobody'"),
        ("set anna", 2, "nothing to set"),
        ("set anna --harvest-every 0", 2, "1 to 20 blocks"),
        ("set anna --harvest-every 21", 2, "1 to 20 blocks"),
        ("set anna --stake 101%", 2, "is not a stake"),
        ("set anna --fee 200%", 2, "is not a fee"),
        ("set anna --payout GABC", 2, "is not an address"),
        ("pause nobody", 2, "no farmer 'nobody'"),
        ("pause anna", 2, "'anna' is created"),
        ("resume anna", 2, "'anna' is created"),
        ("list --network mainnet", 3, "belongs to the network"),
        ("sow", 2, "No such command 'sow'"),
    ],
)
def test_what_is_refused_gets_one_line_and_a_hint_and_changes_nothing(
    steading: Steading, words: str, code: int, message: str
) -> None:
    assert steading.run("farmer", "add", "anna")[0] == 0
    before = steading.contents()
    got, out, err = steading.run("farmer", *words.split())
    assert (got, out) == (code, "")
    said, hint = err.splitlines()
    assert said.startswith("error: ")
    assert message in said
    assert hint.startswith("hint: ")
    assert SEED not in err
    assert steading.contents() == before


@pytest.mark.parametrize(
    ("seed", "message"),
    [(b"", "is empty"), (b"SABC\n", "not a secret seed"), (SEED[:-1].encode() + b"A\n", "checksum")],
)
def test_a_seed_that_is_none_is_refused_unrepeated(
    steading: Steading, monkeypatch: pytest.MonkeyPatch, seed: bytes, message: str
) -> None:
    before = steading.contents()
    feed(monkeypatch, seed)
    code, out, err = steading.run("farmer", "add", "old", "--import-seed")
    assert code in {2, 3}
    assert out == ""
    assert message in err
    assert SEED[:10] not in err
    assert steading.contents() == before


@pytest.mark.parametrize("passphrase", ["wrong", OPERATIONS])
def test_a_passphrase_that_does_not_open_the_farmers_keys_is_refused(
    steading: Steading, monkeypatch: pytest.MonkeyPatch, passphrase: str
) -> None:
    steading.vault.set_operations_passphrase(secret(OPERATIONS))
    before = steading.contents()
    monkeypatch.setenv("KALEPOOL_PASSPHRASE", passphrase)
    code, _, err = steading.run("farmer", "add", "anna", "--payout", PAYOUT)
    assert code == 3
    assert len(err.splitlines()) == 2
    assert steading.contents() == before


def test_without_a_pool_the_way_to_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(tmp_path, monkeypatch)
    steading = Steading(tmp_path, capsys)
    (tmp_path / "kalepool.db").unlink()
    code, _, err = steading.run("farmer", "list")
    assert code == 3
    assert "kalepool init" in err


def test_an_error_in_json_names_the_whole_command(steading: Steading) -> None:
    code, out, _ = steading.run("farmer", "show", "nobody", "--json")
    assert (code, json.loads(out)["command"]) == (2, "farmer show")
