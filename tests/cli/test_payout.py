"""``settle``, ``payout``, ``farmer exit``, ``wallet withdraw`` and ``audit`` against a network on a socket."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.core.pails import paid as paid_back
from kalepool.core.records import PailRecord, PailState
from support.devnet import KALE, XLM, keypair
from support.live import LiveNetwork
from support.steading import Steading, enter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.bootstrap import Pool

pytestmark = pytest.mark.timeout(120)

OPERATOR = "GC3MMSXBWHL6CPOAVERSJITX7BH76YU252WGLUOM5CJX3E7UCYZBTPJQ"
PAYOUTS = [keypair(f"payout {number}").public_key for number in (1, 2)]
SHARE, POOLS = 8 * KALE, 2 * KALE


@pytest.fixture
def network() -> Iterator[LiveNetwork]:
    network = LiveNetwork()
    network.ledger.create_account(OPERATOR, 1_000 * XLM)
    for address in PAYOUTS:
        network.ledger.create_account(address, 10 * XLM)
        network.ledger.give_kale(address, 0)
    with network:
        yield network


@pytest.fixture
def steading(
    network: LiveNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Steading:
    """Two funded farmers with 20 % for the pool, of whose pails one each was harvested, and one was lost."""
    enter(tmp_path, monkeypatch, rpc=network.url)
    monkeypatch.setenv("KALEPOOL_HARVEST_CHANNELS", "2")
    monkeypatch.setenv("KALEPOOL_TERMS_SHARE_BPS", "8000")
    monkeypatch.setenv("KALEPOOL_TERMS_EXIT_DELAY_H", "0")
    steading = Steading(tmp_path, capsys)
    for name, address in zip(("ada", "bob"), PAYOUTS, strict=True):
        steading.data("farmer", "add", name, "--payout", address)
    steading.data("wallet", "fund", "--all", "--yes")
    for index in range(2):
        network.ledger.give_kale(steading.vault.wallet(index), 15 * KALE)
    with steading.pool() as pool:
        for number in (1, 2):
            harvested(pool, number)
        lost = PailRecord(1, 8, PailState.PLANTED, KALE, 200)
        pool.pails.record([lost, replace(lost, state=PailState.FORFEITED)])
    return steading


def harvested(pool: Pool, number: int) -> None:
    planted = PailRecord(number, 7, PailState.PLANTED, KALE, 100)
    worked = replace(planted, state=PailState.WORKED, gap=2, zeros=3)
    pool.pails.record([planted, worked, replace(worked, state=PailState.HARVESTED, reward=10 * KALE)])


def test_what_is_owed_is_settled_explained_and_paid(network: LiveNetwork, steading: Steading) -> None:
    settled = steading.data("settle")
    assert (settled["pails"], settled["shares_stroops"]) == (3, str(2 * SHARE))
    assert settled["compensated_stroops"] == str(KALE)
    assert steading.data("settle")["pails"] == 0
    (first, second) = steading.data("settle", "--explain", "ada")["pails"]
    assert (first["farmer_stroops"], first["pool_stroops"], first["agrees"]) == (str(SHARE), str(POOLS), True)
    assert (second["lost_by"], second["postings"][0]["amount_stroops"].lstrip("-")) == ("pool", str(KALE))
    code, out, err = steading.run("payout")
    assert (code, out) == (2, "")
    assert "4 payments in 1 transactions: 16 KALE to farmers, 4 KALE to the operator" in err
    assert "give --yes" in err
    plan = steading.data("payout", "--dry-run")
    assert (len(plan["planned"]), plan["paid"]) == (4, [])
    code, document = steading.document("payout", "--yes")
    # The compensation waits for the operator to have KALE.
    assert code == 6
    assert [one["claim"] for one in document["data"]["held"]] == ["compensation"]
    assert {len(one["transaction"]) for one in document["data"]["paid"]} == {64}
    again = steading.data("payout", "--yes")
    assert [(one["claim"], one["amount_stroops"]) for one in again["paid"]] == [("compensation", str(KALE))]
    assert steading.run("payout", "--yes")[:2] == (0, "nothing to pay\n")


def test_a_run_with_held_payments_alone_ends_as_one_with_others_beside_them(
    network: LiveNetwork, steading: Steading
) -> None:
    code, document = steading.document("payout", "--yes")
    assert code == 6
    with steading.pool() as pool:
        lost = PailRecord(1, 9, PailState.PLANTED, 100 * KALE, 200)
        pool.pails.record([lost, replace(lost, state=PailState.FORFEITED)])
    steading.document(
        "payout", "--yes"
    )  # pays the compensation of before; the operator has too little for this
    for _ in range(2):
        code, document = steading.document("payout", "--yes")
        assert (code, document["error"]["code"]) == (6, "partial")
        assert [one["claim"] for one in document["data"]["held"]] == ["compensation"]
        assert document["data"]["paid"] == []
    assert steading.run("payout", "--yes")[2].startswith("error: 1 payments are held: ada\n")
    assert steading.document("payout", "--dry-run")[0] == 0


def test_a_stake_that_was_paid_back_short_is_explained(steading: Steading) -> None:
    planted = PailRecord(1, 9, PailState.PLANTED, KALE, 100)
    worked = replace(planted, state=PailState.WORKED, gap=2, zeros=3)
    with steading.pool() as pool:
        pool.pails.record([planted, worked, paid_back(worked, KALE // 4)])
    steading.data("settle")
    (short,) = steading.data("settle", "--explain", "ada", "--block", "9")["pails"]
    assert (short["stake_lost_stroops"], short["lost_by"]) == (str(KALE * 3 // 4), "network")
    assert "lost 0.75: network" in steading.run("settle", "--explain", "ada", "--block", "9")[1]


def test_a_statement_names_every_harvest_and_payment_with_its_transaction(steading: Steading) -> None:
    steading.document("payout", "--yes")
    (paid,) = steading.data("report", "statement", "bob")["payments"]
    assert paid["amount_stroops"] == str(SHARE)
    code, text, _ = steading.run("report", "statement", "bob")
    assert code == 0
    assert text.startswith("# Statement for bob\n")
    assert f"`{paid['transaction']}`" in text
    assert "| 7 | 1 | 10 | 0 | 2 | 8 | - | " in text
    assert "- still owed to him: 0 KALE" in text
    page = steading.run("report", "statement", "ada", "--html")[1]
    assert page.startswith("<!doctype html>")
    assert "forfeited" in page
    assert steading.run("report", "statement")[0] == 2
    assert steading.run("report", "nonsense", "bob")[0] == 2
    assert steading.run("report", "statement", "nobody")[0] == 2


def test_a_report_is_drawn(steading: Steading) -> None:
    assert steading.run("report", "--plot", "picture.svg", "--since", "all")[0] == 0
    drawn = (steading.folder / "picture.svg").read_text()
    assert ">ada</text>" in drawn
    assert ">10.00</text>" in drawn
    assert steading.run("report", "--plot", "nowhere/picture.svg")[0] == 2


def test_a_farmer_leaves_and_the_operator_withdraws_and_the_log_tells_of_it(
    network: LiveNetwork, steading: Steading
) -> None:
    quote = steading.data("farmer", "exit", "bob", "--quote")
    assert (quote["principal_stroops"], quote["share_stroops"]) == (str(5 * KALE), str(SHARE))
    assert steading.run("farmer", "exit", "bob")[0] == 2
    left = steading.data("farmer", "exit", "bob", "--yes")
    assert left["done"]
    assert left["state"] == "exited"
    assert steading.run("farmer", "exit", "bob", "--yes")[1].startswith("bob has left\ntransaction ")
    assert steading.run("farmer", "exit", "bob", "--cancel")[0] == 2
    done = steading.data("wallet", "withdraw", "0.75", "--to", PAYOUTS[0], "--yes")
    assert (done["amount_stroops"], len(done["transaction"])) == ("7500000", 64)
    assert steading.run("wallet", "withdraw", "0.75", "--to", PAYOUTS[0], "--yes")[0] == 5
    audit = steading.data("audit")
    assert audit["verified"]
    written = "\n".join(row["what"] for row in audit["rows"])
    assert "'bob' has left" in written
    assert "withdraws 0.75 KALE" in written
    with steading.pool() as pool:
        pool.store.execute("DROP TRIGGER audit_is_not_changed")
        pool.store.execute("UPDATE audit SET what = 'nothing' WHERE number = 2")
    code, document = steading.document("audit", "--last", "1")
    assert (code, document["data"]["broken_from"]) == (8, 2)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("settle", "--block", "1..2"), 2),
        (("settle", "--explain", "ada", "--block", "9..2"), 2),
        (("settle", "--explain", "nobody"), 2),
        (("payout", "nobody", "--yes"), 2),
        (("payout", "--confirm-restored", "--now"), 2),
        (("farmer", "exit", "nobody"), 2),
        (("farmer", "exit", "ada", "--quote", "--cancel"), 2),
        (("wallet", "withdraw", "0", "--to", PAYOUTS[0], "--yes"), 2),
        (("wallet", "withdraw", "1", "--to", PAYOUTS[0], "--asset", "aqua", "--yes"), 2),
    ],
)
def test_wrong_words_are_refused(steading: Steading, words: tuple[str, ...], code: int) -> None:
    assert steading.run(*words)[0] == code


def test_after_a_restore_payouts_wait_for_a_person(steading: Steading) -> None:
    with steading.pool() as pool:
        pool.facts.put("restored-from-backup", "1")
    code, document = steading.document("payout", "--yes")
    assert (code, document["error"]["code"]) == (8, "unresolved")
    assert steading.data("payout", "--confirm-restored", "--yes") == {"confirmed": []}
    assert steading.document("payout", "--yes")[0] == 6
