"""What landed, read from events: complete, exact, in one request; and said where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from stellar_sdk import Address, scval

from kalepool.adapters.stellar import happenings as events
from kalepool.core.chain import AssetMove
from kalepool.devnet.faults import NodeFaults
from kalepool.devnet.ledger import LedgerSettings
from kalepool.errors import RetryableError
from support.devnet import KALE
from support.stellar import NODE, SECOND_NODE, SECOND_URL, URL, Pool
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from stellar_sdk import Keypair

    from kalepool.core.chain import Happenings
    from kalepool.devnet.execution import Applied


def read(pool: Pool, since: int = 1, *holders: Keypair) -> Happenings:
    addresses = [holder.public_key for holder in holders]
    return run(pool.chain.happenings(since, pool.operator.public_key, addresses))


def plant_all(pool: Pool, count: int, *, stake: int = KALE) -> list[Applied]:
    """Land plants of so many new farmers in one ledger, paid by the operator."""
    farmers = [pool.member(f"farmer {len(pool.keys)}", kale=100) for _ in range(count)]
    hashes = [pool.accept(pool.bump(pool.plant(farmer, stake), pool.operator)) for farmer in farmers]
    pool.close()
    return [pool.ledger.by_hash[one] for one in hashes]


def change_events(pool: Pool, change: Callable[[dict[str, Any]], object]) -> None:
    """Let every answer to getEvents be changed."""

    def patch(_path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if method == "getEvents":
            change(result)
        return result

    pool.transport.change = patch


def test_what_we_paid_for_is_told_with_its_exact_fee_and_its_moves(pool: Pool) -> None:
    landed = plant_all(pool, 3)
    told = read(pool)
    assert (told.node, told.first, told.last) == (NODE, 1, pool.ledger.latest.sequence)
    assert told.close_time == pool.ledger.latest.close_time
    assert told.others == {}
    assert told.paid.keys() == {applied.transaction.outer_hash.hex() for applied in landed}
    for applied in landed:
        one = told.paid[applied.transaction.outer_hash.hex()]
        assert (one.ledger, one.closed_at) == (applied.ledger, applied.close_time)
        assert one.fee_charged == applied.result.fee_charged
        assert applied.refund > 0
        assert one.moves == (AssetMove("burn", (applied.transaction.source,), KALE),)


def test_it_takes_one_request_however_much_landed(pool: Pool) -> None:
    plant_all(pool, 30)
    run(pool.chain.tip())
    before = pool.rpc_client.counts.http_requests
    assert len(read(pool).paid) == 30
    assert pool.rpc_client.counts.http_requests == before + 1


@pytest.mark.parametrize("page", [1, 2, 3, 7, 50])
def test_pages_that_cut_anywhere_lose_nothing(pool: Pool, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    plant_all(pool, 4)
    plant_all(pool, 2, stake=0)
    pool.close()
    whole = read(pool)
    monkeypatch.setattr(events, "PAGE", page)
    assert read(pool) == whole


def test_a_reading_that_would_take_too_long_ends_with_a_whole_ledger(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (plant_all(pool, 1, stake=stake)[0] for stake in (KALE, 0, 0))
    whole = read(pool)
    monkeypatch.setattr(events, "PAGE", 2)
    monkeypatch.setattr(events, "MAX_PAGES", 2)
    # Three events of the first ledger, two of each other: four are read, the last of them in the second.
    told = read(pool)
    assert (told.first, told.last) == (1, first.ledger)
    assert first.close_time <= told.close_time <= second.close_time
    paid = dict(told.paid)
    while told.last < third.ledger:
        told = read(pool, told.last + 1)
        paid |= told.paid
    assert paid == whole.paid


def test_of_others_only_what_concerns_our_holders_is_told(pool: Pool) -> None:
    ours, stranger = pool.member("ours", kale=100), pool.account("stranger", kale=100)
    mine = pool.land(pool.plant(ours, KALE))
    pool.land(pool.plant(stranger, KALE))
    told = read(pool, 1, ours)
    assert told.paid == {}
    assert told.others.keys() == {mine.transaction.outer_hash.hex()}
    (one,) = told.others.values()
    assert (one.fee_charged, one.moves) == (0, (AssetMove("burn", (ours.public_key,), KALE),))


def test_kale_that_comes_out_of_a_claimable_balance_is_a_move_as_well(pool: Pool) -> None:
    ours, stranger = pool.member("ours", kale=100), pool.account("stranger", kale=100)
    arguments = [scval.to_address(keys.public_key) for keys in (stranger, ours)]
    pool.land(pool.call(stranger, pool.sac, "transfer", [*arguments, scval.to_int128(KALE)]))
    balance = Address.from_raw_claimable_balance(bytes(33))
    topic = scval.to_address(balance).to_xdr()
    change_events(pool, lambda result: first_of(result, "transfer")["topic"].__setitem__(1, topic))
    (one,) = read(pool, 1, ours).others.values()
    assert one.moves == (AssetMove("transfer", (balance.address, ours.public_key), KALE),)


def test_a_failed_transaction_is_told_with_its_fee_and_without_moves(pool: Pool) -> None:
    farmer = pool.member("farmer", kale=100)
    first, again = pool.plant(farmer, KALE), pool.plant(farmer, KALE, ahead=1)
    pool.land(first)
    applied = pool.land(pool.bump(again, pool.operator))
    assert not applied.result.is_success
    one = read(pool).paid[applied.transaction.outer_hash.hex()]
    assert (one.fee_charged, one.moves) == (applied.result.fee_charged, ())


def test_history_that_is_gone_is_said_to_be(pool: Pool) -> None:
    pool = Pool(LedgerSettings(history_ledgers=5))
    pool.close(20)
    told = read(pool, 3)
    assert (told.first, told.last) == (pool.ledger.oldest.sequence, pool.ledger.latest.sequence)
    assert told.first > 3


def test_a_ledger_that_has_not_closed_has_told_nothing_yet(pool: Pool) -> None:
    latest = pool.ledger.latest
    told = read(pool, latest.sequence + 1)
    assert (told.first, told.last, told.paid) == (latest.sequence + 1, latest.sequence, {})
    assert told.close_time == latest.close_time


def test_a_node_that_lags_tells_how_far_it_sees() -> None:
    pool = Pool(second=NodeFaults(lag_ledgers=2))
    pool.close(5)
    plant_all(pool, 1)
    pool.connect(SECOND_URL)
    told = read(pool)
    assert told.last == pool.ledger.latest.sequence - 2
    assert told.paid == {}


def first_of(result: dict[str, Any], kind: str) -> dict[str, Any]:
    symbol = scval.to_symbol(kind).to_xdr()
    event: dict[str, Any] = next(one for one in result["events"] if one["topic"][0] == symbol)
    return event


def value(stroops: int) -> str:
    return scval.to_int128(stroops).to_xdr()


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a fee of somebody else": lambda r: first_of(r, "fee")["topic"].__setitem__(
        1, r["events"][-1]["topic"][0]
    ),
    "a fee without a payer": lambda r: first_of(r, "fee")["topic"].pop(),
    "a negative fee": lambda r: first_of(r, "fee").update(value=value(-5)),
    "a fee beyond all money": lambda r: first_of(r, "fee").update(value=value(2**63)),
    "a refund above the fee": lambda r: r["events"][-1].update(value=value(-(10**9))),
    "a refund that takes": lambda r: r["events"][-1].update(value=value(7)),
    "a refund of nothing taken": lambda r: r["events"].pop(0),
    "an event twice": lambda r: r["events"].insert(0, r["events"][0]),
    "another order": lambda r: r["events"].reverse(),
    "an unknown contract": lambda r: r["events"][0].update(contractId="CA" + "A" * 54),
    "a burn without a farmer": lambda r: first_of(r, "burn").update(topic=first_of(r, "burn")["topic"][:1]),
    "a burn of less than nothing": lambda r: first_of(r, "burn").update(value=value(-1)),
    "a burn beyond any balance": lambda r: first_of(r, "burn").update(value=value(2**63)),
    "a burn of a failed call": lambda r: first_of(r, "burn").update(inSuccessfulContractCall=False),
    "a burn that is no number": lambda r: first_of(r, "burn").update(value=scval.to_symbol("much").to_xdr()),
    "a hash in capitals": lambda r: r["events"][0].update(txHash=r["events"][0]["txHash"].upper()),
    "another ledger than the id's": lambda r: r["events"][0].update(ledger=3),
    "a ledger from the future": lambda r: r.update(latestLedger=1),
    "no time": lambda r: r["events"][0].update(ledgerClosedAt="2023-13-45T00:00:00Z"),
    "two times": lambda r: r["events"][-1].update(ledgerClosedAt="2020-01-01T00:00:00Z"),
    "a cursor before the events": lambda r: r.update(cursor="0000000000000000001-0000000000"),
    "a cursor in the future": lambda r: r.update(cursor="0000009999999999999-0000000000"),
    "no cursor": lambda r: r.pop("cursor"),
    "an id that is none": lambda r: r["events"][0].update(id="12"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_events_that_cannot_be_are_nobodys_truth(pool: Pool, lie: Callable[[dict[str, Any]], object]) -> None:
    (applied,) = plant_all(pool, 1)
    change_events(pool, lie)
    with pytest.raises(RetryableError, match="getEvents"):
        read(pool, applied.ledger)
    assert pool.rpc_client._nodes[0].pace.failures


def test_a_node_whose_events_are_nonsense_is_passed_over(pool: Pool) -> None:
    plant_all(pool, 2)
    pool.connect(URL, SECOND_URL)

    def patch(path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if path == "/" and method == "getEvents":
            result["events"].reverse()
        return result

    pool.transport.change = patch
    told = read(pool)
    assert (told.node, len(told.paid)) == (SECOND_NODE, 2)


def test_a_cursor_that_stands_still_is_not_followed_forever(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_all(pool, 2)
    monkeypatch.setattr(events, "PAGE", 1)
    kept: list[str] = []

    def stick(result: dict[str, Any]) -> None:
        kept.append(result["cursor"])
        result["cursor"] = kept[0]

    change_events(pool, stick)
    with pytest.raises(RetryableError):
        read(pool)


def look(pool: Pool, since: int) -> tuple[int, Happenings]:
    """Read a snapshot and then events; give the requests that both took, and the events."""
    before = pool.rpc_client.counts.http_requests
    run(pool.chain.snapshot([]))
    told = read(pool, since)
    return pool.rpc_client.counts.http_requests - before, told


def alone(pool: Pool, since: int) -> Happenings:
    """Read events as a client does that knows nothing."""
    pool.connect()
    return read(pool, since)


def test_events_asked_for_at_every_look_ride_along_with_its_snapshot(pool: Pool) -> None:
    plant_all(pool, 2)
    run(pool.chain.snapshot([]))
    requests, told = look(pool, 1)
    assert requests == 2
    for count in (3, 0, 1):
        since = told.last + 1
        landed = plant_all(pool, count)
        requests, told = look(pool, since)
        assert requests == 1
        assert told.paid.keys() == {applied.transaction.outer_hash.hex() for applied in landed}
    # No ledger has closed since: that is known too.
    requests, again = look(pool, told.last + 1)
    assert (requests, again.first, again.last) == (1, told.last + 1, told.last)
    assert alone(pool, 1).paid.keys() > told.paid.keys()


def test_other_events_than_expected_are_asked_for_by_themselves(pool: Pool) -> None:
    plant_all(pool, 2)
    look(pool, 1)
    # From an earlier ledger on, or of other holders: what rode along is not taken for it.
    requests, told = look(pool, 1)
    assert (requests, len(told.paid)) == (2, 2)
    look(pool, told.last + 1)
    holder = pool.member("holder", kale=1)
    assert read(pool, told.last + 1, holder).last == told.last


def test_what_rode_along_is_too_old_once_anything_was_asked_or_sent(pool: Pool) -> None:
    plant_all(pool, 1)
    _, told = look(pool, 1)
    run(pool.chain.snapshot([]))
    plant_all(pool, 1)
    run(pool.chain.tip())
    assert len(read(pool, told.last + 1).paid) == 1


def test_what_rode_along_serves_once(pool: Pool) -> None:
    plant_all(pool, 1)
    _, told = look(pool, 1)
    pool.close()
    run(pool.chain.snapshot([]))
    since = told.last + 1
    first = read(pool, since)
    plant_all(pool, 1)
    assert len(read(pool, since).paid) == 1
    assert first.paid == {}


@pytest.mark.parametrize("lie", [{"cursor": "nowhere"}, {"latestLedger": "x"}, {"events": [{}]}])
def test_events_that_rode_along_and_are_not_to_be_believed_spoil_no_snapshot(
    pool: Pool, lie: dict[str, Any]
) -> None:
    plant_all(pool, 1)
    _, told = look(pool, 1)
    plant_all(pool, 1)
    change_events(pool, lambda result: result.update(lie))
    run(pool.chain.snapshot([]))
    pool.transport.change = None
    assert len(read(pool, told.last + 1).paid) == 1


def test_more_events_than_a_page_are_asked_for_by_themselves(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_all(pool, 1)
    _, told = look(pool, 1)
    plant_all(pool, 4)
    monkeypatch.setattr(events, "PAGE", 3)
    requests, cut = look(pool, told.last + 1)
    assert requests > 2
    assert len(cut.paid) == 4
