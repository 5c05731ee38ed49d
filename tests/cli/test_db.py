"""``kalepool db``: copies, checks, and what is refused."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from kalepool.core.facts import BOOKED, LAST_BACKUP, RESTORED, opening
from kalepool.core.postings import account
from kalepool.core.reports import By
from kalepool.devnet.ledger import LedgerSettings
from support.desk import Desk
from support.devnet import KALE, XLM
from support.field_day import live_through
from support.years import Past

if TYPE_CHECKING:
    from pathlib import Path

STORE = "kalepool.db"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A pool whose books say what the chain holds: two farmers of 100 KALE, the operator's 10,000 XLM."""
    return with_books(Desk(tmp_path, monkeypatch, capsys))


def with_books(desk: Desk) -> Desk:
    with desk.farm.pool() as pool:
        farmers = desk.farm.add_farmers(pool, 2)
        for farmer in farmers:
            held = 100 * KALE
            postings = [(account(farmer.address), "KALE", held), ("external", "KALE", -held)]
            pool.books.post(f"opening:{farmer.name}", postings, at=0.0)
        held = 10_000 * XLM
        postings = [(account(desk.farm.operator), "XLM", held), ("external", "XLM", -held)]
        pool.books.post("opening:operator", postings, at=0.0)
    return desk


def spoil(desk: Desk) -> None:
    """Let balances differ from their postings, as no command of ours would."""
    with desk.farm.pool() as pool:
        pool.store.execute("UPDATE balances SET stroops = stroops + 1 WHERE account LIKE 'account:%'")


def test_a_backup_is_private_whole_and_remembered(desk: Desk) -> None:
    code, out, err = desk.run("db", "backup", "copy.db")
    copy = desk.folder / "copy.db"
    assert code == 0
    assert out == f"copy.db: {copy.stat().st_size:,} bytes, checked\n"
    assert "the vault and the recovery phrase are not in it" in err
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert desk.run("db", "verify", "copy.db")[0] == 0
    with desk.farm.pool() as pool:
        assert abs(float(pool.facts.get(LAST_BACKUP) or 0) - pool.machine_time()) < 60
        assert pool.facts.get(RESTORED) is None


def test_a_backup_can_be_made_while_another_mines(desk: Desk) -> None:
    with desk.farm.pool("mine") as mine, mine.lock.hold():
        code, document = desk.json("db", "backup", "copy.db", "-q")
    assert (code, document["data"]["file"]) == (0, "copy.db")


def test_a_sound_store_is_sound(desk: Desk) -> None:
    code, out, err = desk.run("db", "verify")
    assert (code, out, err) == (0, f"{desk.folder / STORE}: sound\n", "")


def test_findings_are_listed_and_are_no_success(desk: Desk) -> None:
    spoil(desk)
    code, out, err = desk.run("db", "verify")
    assert code == 3
    assert "balances that differ from their postings: 3" in out
    assert "is not sound: 2 findings\nhint: " in err
    code, document = desk.json("db", "verify")
    assert (code, len(document["data"]["findings"]), document["ok"]) == (3, 2, False)


def test_an_unsound_store_is_not_copied(desk: Desk) -> None:
    spoil(desk)
    code, error, hint = desk.refuses("db", "backup", "copy.db")
    assert (code, hint) == (3, "hint: see all of it with: kalepool db verify")
    assert "is not sound" in error


def test_books_that_agree_with_the_chain_are_told_so(desk: Desk) -> None:
    asked = len(desk.farm.transport.paths)
    code, out, _ = desk.run("db", "verify", "--chain")
    assert code == 0
    assert "books and chain agree in 3 balances" in out
    assert len(desk.farm.transport.paths) - asked <= 2


def test_accounts_that_the_books_do_not_have_yet_are_left_out(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        three, four = desk.farm.add_farmers(pool, 2)
        pool.facts.put(opening(four.address), "7")
    code, out, _ = desk.run("db", "verify", "--chain")
    assert code == 8
    assert out.splitlines()[-1] == "1 account left out: nothing was booked to them yet"
    assert [line.split()[:2] for line in out.splitlines()[3:-1]] == [[four.name, "KALE"]]
    assert three.name not in out


def test_every_difference_to_the_chain_is_listed(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        address = pool.farmers.get("farmer-2").address
    desk.farm.bench.ledger.give_kale(address, 100 * KALE + 5)
    code, out, err = desk.run("db", "verify", "--chain")
    assert code == 8
    assert "books and chain differ in 1 of 3 balances\nhint: " in err
    assert out.splitlines()[-1].split() == ["farmer-2", "KALE", "100", "100.0000005", "0.0000005"]
    code, document = desk.json("db", "verify", "--chain")
    assert code == 8
    assert document["data"]["chain"]["differences"] == [
        {
            "who": "farmer-2",
            "address": address,
            "asset": "KALE",
            "books_stroops": "1000000000",
            "chain_stroops": "1000000005",
        }
    ]


def test_what_happened_in_ledgers_that_nobody_saw_is_taken_from_the_chain_once_a_person_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = with_books(Desk(tmp_path, monkeypatch, capsys, LedgerSettings(history_ledgers=30)))
    bench = desk.farm.bench
    with desk.farm.pool() as pool:
        address = pool.farmers.get("farmer-2").address
        pool.facts.put(BOOKED, str(bench.ledger.latest.sequence))
    bench.ledger.give_kale(address, 103 * KALE)
    bench.close(5)
    code, document = desk.json("db", "verify", "--chain", "--adopt", "--yes")
    assert (code, document["error"]["code"]) == (5, "rejected")  # nodes still have these ledgers
    bench.close(60)
    code, out, err = desk.run("db", "verify", "--chain", "--adopt")
    assert (code, out) == (2, "")
    assert f"farmer-2 {address}: 3 KALE beside the books\n" in err
    assert "give --yes" in err
    assert desk.run("db", "verify", "--chain")[0] == 8
    code, document = desk.json("db", "verify", "--chain", "--adopt", "--yes", "-q")
    (row,) = document["data"]["adopted"]
    assert (code, row["who"], row["booked_stroops"]) == (0, "farmer-2", str(3 * KALE))
    assert "books and chain agree in 3 balances" in desk.run("db", "verify", "--chain")[1]
    assert desk.run("db", "verify", "--audit")[0] == 0
    with desk.farm.pool() as pool:
        assert pool.audit.rows()[-1].what.endswith("farmer-2 3 KALE")
    assert desk.run("db", "verify", "--chain", "--adopt", "--yes")[0] == 5


def test_the_audit_log_is_checked_with_the_vault(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        for what in ("sowed", "reaped", "slept"):
            pool.record(what)
    assert desk.run("db", "verify", "--audit")[0] == 0
    with desk.farm.pool() as pool:
        pool.store.execute("DROP TRIGGER audit_is_not_changed")
        pool.store.execute("UPDATE audit SET what = 'wept' WHERE number = 2")
    code, out, _ = desk.run("db", "verify", "--audit")
    assert (code, out) == (3, "the audit log was changed: row 2 does not carry its seal\n")
    assert desk.run("db", "verify")[0] == 0


def test_terms_that_somebody_changed_in_the_file_are_found_with_the_vault(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        pool.store.execute("UPDATE terms SET payout = ? WHERE farmer = 2", (desk.farm.operator,))
    assert desk.run("db", "verify")[0] == 0
    code, out, _ = desk.run("db", "verify", "--audit")
    assert (code, out) == (3, "the terms of 'farmer-2' were changed: they do not carry their seal\n")


def test_what_is_in_use_is_never_overwritten(desk: Desk) -> None:
    (desk.folder / "copy.db").write_text("precious")
    code, error, _ = desk.refuses("db", "backup", "copy.db")
    assert (code, error) == (3, "error: copy.db is there already")
    assert (desk.folder / "copy.db").read_text() == "precious"
    assert desk.refuses("db", "backup", STORE)[0] == 3


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["backup"], 2, "see `kalepool db backup --help`"),
        (["backup", "nowhere/copy.db"], 3, "check the folder and the rights to it"),
        (["verify", "missing.db"], 3, "check the path"),
        (["verify", "notes.txt"], 3, "check the path of the store in the configuration"),
        (["verify", "notes.txt", "--chain"], 2, "leave out FILE, or the options"),
        (["verify", "--network", "testnet"], 3, "choose its network, or another configuration"),
        (["verify", "--adopt"], 2, "give --chain --adopt"),
        (["import"], 2, "see `kalepool db --help`"),
    ],
)
def test_bad_words_and_files_are_refused(desk: Desk, words: list[str], code: int, hint: str) -> None:
    (desk.folder / "notes.txt").write_text("no store at all, but long enough to look at " * 50)
    assert desk.refuses("db", *words)[::2] == (code, f"hint: {hint}")


def test_a_wrong_passphrase_checks_no_audit_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALEPOOL_PASSPHRASE", "wrong")
    assert desk.refuses("db", "verify", "--audit")[0] == 3


def test_without_a_store_there_is_nothing_to_copy(
    desk: Desk,
) -> None:
    (desk.folder / STORE).unlink()
    for words in (("db", "backup", "copy.db"), ("db", "verify")):
        assert desk.refuses(*words)[::2] == (3, "hint: make one with: kalepool init")


def test_a_damaged_file_is_found_out(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        live_through(pool)
    assert desk.run("db", "backup", "copy.db")[0] == 0
    data = bytearray((desk.folder / "copy.db").read_bytes())
    for page in range(4, len(data) // 4096):
        data[page * 4096 + 100 : page * 4096 + 3_000] = b"\xff" * 2_900
    (desk.folder / "copy.db").write_bytes(data)
    code, out, err = desk.run("db", "verify", "copy.db")
    assert code == 3
    assert "the file: " in out
    assert "hint: stop `mine`, keep the file, and restore the last backup" in err


def test_a_store_kept_busy_by_another_is_copied_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kalepool.adapters.store.db.BUSY_MS", 10)
    with desk.farm.pool() as other, other.store.atomic():
        other.store.execute("UPDATE farmers SET email = 'x'")
        assert desk.run("db", "backup", "copy.db")[0] == 0
    assert desk.run("db", "verify", "copy.db")[0] == 0


def test_no_network_is_no_difference(desk: Desk) -> None:
    desk.farm.transport.change = lambda *_: {}
    assert desk.refuses("db", "verify", "--chain")[0] == 4


def test_old_pails_are_rolled_up_and_said(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        Past(pool.store).live(80)
        told = pool.reporting.report(By.FARMER, "all").lines
        statement = desk.json("report", "statement", "farmer-1")[1]["data"]
    code, document = desk.json("db", "compact", "--keep-days", "30", "--dry-run")
    assert (code, document["data"]["blocks_summed"], document["data"]["dry_run"]) == (0, 56, True)
    code, out, _ = desk.run("db", "compact", "--keep-days", "30")
    assert code == 0
    assert "56 blocks summed by farmer and day\n" in out
    assert "36 pails folded into their days, from 2024-10-04 to 2024-10-12\n" in out
    assert desk.run("db", "compact", "--keep-days", "30")[1] == "nothing is old enough\n"
    with desk.farm.pool() as pool:
        assert pool.reporting.report(By.FARMER, "all").lines == told
    assert desk.run("db", "verify")[0] == 0
    after = desk.json("report", "statement", "farmer-1")[1]["data"]
    assert {name: after[name] for name in after if name not in {"pails", "days", "until"}} == {
        name: statement[name] for name in statement if name not in {"pails", "days", "until"}
    }
    assert after["pails"] == statement["pails"][18:]
    assert [one["day"] for one in after["days"]][::8] == ["2024-10-04", "2024-10-12"]
    assert "Earlier days, in KALE" in desk.run("report", "statement", "farmer-1")[1]
    assert "<td>2024-10-04</td>" in desk.run("report", "statement", "farmer-1", "--html")[1]
    assert "days before 2024-10-13 may be folded" in desk.run("settle", "--explain", "farmer-1")[2]
    remark = "days before 2024-10-13 may be kept as sums alone: each counts whole"
    assert remark in desk.run("report", "--since", "all")[1]
    assert remark not in desk.run("report", "--since", "2024-10-13")[1]
    assert desk.json("report", "--since", "all")[1]["data"]["folded_until"] == "2024-10-13T00:00:00Z"


def test_pails_are_kept_for_thirty_days_at_least(desk: Desk) -> None:
    code, error, hint = desk.refuses("db", "compact", "--keep-days", "29")
    assert (code, "29" in error, "30 to" in hint) == (2, True, True)
